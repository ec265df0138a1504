//! What a transaction paid to whom, as far as its chain shows it: of the chain's own coin by its transfers,
//! of tokens of ours by what their contracts logged. What a contract's call pays of the coin on its way is in
//! no transfer, so it is not among it: a person has to look.
//!
//! Fields: Tatum's `EthTx` (`to`, `value`, `logs`), `BtcTx` (`outputs`) and `TronTx` (`rawData`, `log`).

use std::collections::BTreeMap;

use payfleet_core::address::Network;
use payfleet_core::{Asset, Money};
use rust_decimal::Decimal;

use super::address::TRON_VERSION;
use super::chain::{Chain, whole};
use crate::json::{Object, text};

/// The first topic of what a token's contract logs of a transfer: the hash of
/// `Transfer(address,address,uint256)`.
pub(super) const TRANSFER: &str = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef";

/// What of a transaction is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payments {
    /// What was paid, of assets of ours.
    pub outputs: Vec<Output>,
    /// Whether that is all that it paid of the chain's own coin.
    pub shows_coins: bool,
    /// Whether that is all that it paid of tokens of ours.
    pub shows_tokens: bool,
}

/// One thing that a transaction paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// To whom.
    pub address: String,
    /// How much of what.
    pub money: Money,
    /// Where in its block's log, where it is a token's and that is said.
    pub place: Option<String>,
}

/// A transfer as a webhook tells of it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// On which chain.
    pub network: Network,
    /// To which address ([`Network::key_of`]).
    pub address_key: &'a str,
    /// Where in its block's log; empty where that was not told.
    pub place: &'a str,
    /// How much of what.
    pub money: Money,
    /// Whether it is of the chain's own coin.
    pub is_coin: bool,
}

/// What a chain shows of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// This, whatever was told.
    Paid(Money),
    /// Nothing was paid, or nothing that does not count already.
    Nothing,
    /// Neither that it was paid nor that it was not.
    Unknown,
}

impl Payments {
    pub(super) fn read(chain: Chain, object: &Object<'_>) -> Option<Self> {
        let coins = match chain {
            Chain::Tron => tron(object),
            _ if !says_what_it_pays(chain, object) => None,
            Chain::Bitcoin => Some(bitcoin(object)?),
            Chain::Ethereum | Chain::Polygon => Some(evm(chain, object)?),
        };
        let tokens = if chain == Chain::Bitcoin { Some(Vec::new()) } else { tokens(chain, object) };
        let (shows_coins, shows_tokens) = (coins.is_some(), tokens.is_some());
        let outputs = coins.into_iter().chain(tokens).flatten().collect();
        Some(Self { outputs, shows_coins, shows_tokens })
    }

    /// What of it is the transfer that was told as `told`; `beside` is what of the same transaction and
    /// address counts already, under other names.
    #[must_use]
    pub fn shown(&self, told: &Told<'_>, beside: &[Money]) -> Shown {
        let paid = self.to(told.network, told.address_key);
        let is_all = if told.is_coin { self.shows_coins } else { self.shows_tokens };
        let is_at_its_place = |output: &&&Output| output.place.as_deref() == Some(told.place);
        let is_as_told = |output: &&&Output| output.money.asset() == told.money.asset();
        let one = paid.iter().find(is_as_told).or_else(|| paid.iter().find(is_at_its_place)).or(paid.first());
        let Some(asset) = one.map(|output| output.money.asset()) else {
            return if is_all { Shown::Nothing } else { Shown::Unknown };
        };
        let outputs: Vec<&Output> = paid.into_iter().filter(|output| output.money.asset() == asset).collect();
        let whole = sum(outputs.iter().map(|output| output.money));
        let left = whole.saturating_sub(sum(beside.iter().copied().filter(|one| one.asset() == asset)));
        let there = outputs.iter().find(is_at_its_place).map(|output| output.money.amount());
        let as_told = outputs.iter().any(|output| output.money == told.money).then(|| told.money.amount());
        // Told without its place, it is all that the transaction pays there, however many transfers that are.
        let amount = if told.place.is_empty() { whole } else { there.or(as_told).unwrap_or(whole) }.min(left);
        let money = Money::new(amount, asset).ok().filter(|money| money.amount() > Decimal::ZERO);
        money.map_or(Shown::Nothing, Shown::Paid)
    }

    /// What it paid to the address with this key ([`Network::key_of`]).
    fn to(&self, network: Network, address_key: &str) -> Vec<&Output> {
        let is_there = |output: &&Output| network.key_of(&output.address) == address_key;
        self.outputs.iter().filter(is_there).filter(|output| !output.money.amount().is_zero()).collect()
    }
}

fn sum(all: impl Iterator<Item = Money>) -> Decimal {
    all.fold(Decimal::ZERO, |sum, one| sum.saturating_add(one.amount()))
}

fn coin(chain: Chain, address: String, units: &str) -> Option<Output> {
    let asset: Asset = chain.coin().parse().ok()?;
    let money = Money::new(whole(units, chain.decimals())?, asset).ok()?;
    Some(Output { address, money, place: None })
}

/// Whether the fields are there that say it. Where a contract is made, which pays nobody, `to` is there and
/// empty.
fn says_what_it_pays(chain: Chain, object: &Object<'_>) -> bool {
    match chain {
        Chain::Ethereum | Chain::Polygon => ["to", "value"].iter().all(|name| object.raw(name).is_some()),
        Chain::Bitcoin => object
            .objects("outputs")
            .is_none_or(|outputs| outputs.iter().any(|one| one.filled("address").is_some())),
        Chain::Tron => true,
    }
}

fn evm(chain: Chain, object: &Object<'_>) -> Option<Vec<Output>> {
    object.filled("to").map(|address| coin(chain, address, &object.text("value")?)).into_iter().collect()
}

fn bitcoin(object: &Object<'_>) -> Option<Vec<Output>> {
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    for output in object.objects("outputs")? {
        let amount = whole(&text(output.raw("value")?)?, Chain::Bitcoin.decimals())?;
        // An output without an address pays nobody that can be named.
        if let Some(address) = output.filled("address") {
            let sum = sums.entry(address).or_default();
            *sum = sum.saturating_add(amount);
        }
    }
    let asset: Asset = Chain::Bitcoin.coin().parse().ok()?;
    let outputs = sums.into_iter().map(|(address, amount)| {
        let money = Money::new(amount, asset).ok()?;
        Some(Output { address, money, place: None })
    });
    outputs.collect()
}

/// Not shown where a contract does not say of which type it is, or a transfer has none of the fields that say what it pays.
fn tron(object: &Object<'_>) -> Option<Vec<Output>> {
    let contracts = object.object("rawData")?.objects("contract")?;
    let typed: Vec<_> = contracts.iter().map(|one| Some((one.text("type")?, one))).collect::<Option<_>>()?;
    let transfers = typed.into_iter().filter(|(of_type, _)| of_type == "TransferContract");
    let outputs = transfers.map(|(_, transfer)| {
        let value = transfer.object("parameter")?.object("value")?;
        coin(Chain::Tron, value.filled("toAddressBase58")?, &value.text("amount")?)
    });
    outputs.collect()
}

fn tokens(chain: Chain, object: &Object<'_>) -> Option<Vec<Output>> {
    let name = if chain == Chain::Tron { "log" } else { "logs" };
    let mut outputs = Vec::new();
    for log in object.objects(name)? {
        let contract = log.filled("address").and_then(|contract| address(chain, &contract));
        let Some(asset) = contract.and_then(|contract| chain.asset_of_contract(&contract)) else { continue };
        let topics: Vec<String> = serde_json::from_str(log.raw("topics")?.get()).ok()?;
        let [what, _, to] = topics.as_slice() else { continue };
        if bare(what) == TRANSFER {
            let units = units(&log.text("data")?)?;
            let money = Money::new(whole(&units, asset.scale())?, asset).ok()?;
            outputs.push(Output { address: address(chain, to)?, money, place: log.text("logIndex") });
        }
    }
    Some(outputs)
}

fn bare(hex: &str) -> String {
    hex.strip_prefix("0x").unwrap_or(hex).to_ascii_lowercase()
}

/// The address that a word of a log ends with, twenty bytes of it.
fn address(chain: Chain, word: &str) -> Option<String> {
    let word = bare(word);
    let account = word.get(word.len().checked_sub(40)?..)?;
    match chain {
        Chain::Tron => {
            let mut bytes = vec![TRON_VERSION];
            bytes.extend(hex::decode(account).ok()?);
            Some(bs58::encode(bytes).with_check().into_string())
        }
        Chain::Ethereum | Chain::Polygon | Chain::Bitcoin => Some(format!("0x{account}")),
    }
}

/// A word of 32 bytes as a decimal, where it is less than 2^128.
fn units(word: &str) -> Option<String> {
    let word = bare(word);
    let (high, low) = word.split_at_checked(word.len().checked_sub(32)?)?;
    let is_small = word.len() == 64 && high.bytes().all(|digit| digit == b'0');
    u128::from_str_radix(low, 16).ok().filter(|_| is_small).map(|units| units.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(chain: Chain, body: &str) -> Option<Payments> {
        Payments::read(chain, &Object::parse(body.as_bytes()).unwrap())
    }

    fn shown(payments: &Payments) -> Vec<(String, String, Option<&str>)> {
        let shown = payments.outputs.iter();
        shown.map(|one| (one.address.clone(), one.money.to_string(), one.place.as_deref())).collect()
    }

    #[test]
    fn coins_are_read_in_whole_ones() {
        let evm = of(Chain::Ethereum, r#"{"to":"0x1","value":"50000000000000000","logs":[]}"#).unwrap();
        assert_eq!(shown(&evm), [("0x1".to_owned(), "0.05 ETH".to_owned(), None)]);
        assert!(evm.shows_coins && evm.shows_tokens);
        let bitcoin =
            r#"{"outputs":[{"value":100000,"address":"bc1"},{"value":1,"address":"bc1"},{"value":0}]}"#;
        let bitcoin = of(Chain::Bitcoin, bitcoin).unwrap();
        assert_eq!(shown(&bitcoin), [("bc1".to_owned(), "0.00100001 BTC".to_owned(), None)]);
        let tron = r#"{"rawData":{"contract":[{"type":"TransferContract","parameter":{"value":{"amount":15500000,"toAddressBase58":"T1"}}}]},"log":[]}"#;
        let tron = of(Chain::Tron, tron).unwrap();
        assert_eq!(shown(&tron), [("T1".to_owned(), "15.5 TRX".to_owned(), None)]);
        assert!(tron.shows_coins && tron.shows_tokens);
        assert_eq!(of(Chain::Ethereum, r#"{"to":"0x1","value":"1e18"}"#), None);
    }

    #[test]
    fn what_is_not_said_is_not_nothing() {
        let shows_coins = |chain, body| of(chain, body).unwrap().shows_coins;
        assert!(!shows_coins(Chain::Ethereum, r#"{"to":"0x1"}"#));
        assert!(!shows_coins(Chain::Polygon, r#"{"value":"1"}"#));
        assert!(shows_coins(Chain::Ethereum, r#"{"to":null,"value":"0"}"#), "a contract is made");
        assert!(!shows_coins(Chain::Bitcoin, r#"{"outputs":[{"value":1}]}"#));
        assert_eq!(of(Chain::Bitcoin, "{}"), None);
        assert!(!shows_coins(Chain::Tron, r#"{"rawData":{"contract":[{}]}}"#));
        let call = r#"{"rawData":{"contract":[{"type":"TriggerSmartContract"}]}}"#;
        assert!(shows_coins(Chain::Tron, call), "a call, which pays by no transfer");
    }

    #[test]
    fn of_several_transfers_each_counts_at_its_place_or_all_without_places() {
        let usdt = |amount: &str| Money::parse_positive(amount, "USDT".parse().unwrap()).unwrap();
        let output = |amount: &str, place: Option<&str>| Output {
            address: "0xA1".to_owned(),
            money: usdt(amount),
            place: place.map(str::to_owned),
        };
        let paid = |places: [Option<&str>; 2]| Payments {
            outputs: vec![output("10", places[0]), output("5", places[1])],
            shows_coins: true,
            shows_tokens: true,
        };
        let key = Network::Eth.key_of("0xA1");
        let told = |place| Told {
            network: Network::Eth,
            address_key: &key,
            place,
            money: usdt("10"),
            is_coin: false,
        };
        let placed = paid([Some("3"), Some("4")]);
        assert_eq!(placed.shown(&told("3"), &[]), Shown::Paid(usdt("10")));
        assert_eq!(placed.shown(&told("4"), &[usdt("10")]), Shown::Paid(usdt("5")), "whatever was told");
        assert_eq!(placed.shown(&told(""), &[]), Shown::Paid(usdt("15")));
        assert_eq!(placed.shown(&told(""), &[usdt("10")]), Shown::Paid(usdt("5")), "what counts already");
        assert_eq!(placed.shown(&told("9"), &[usdt("10"), usdt("5")]), Shown::Nothing);
        assert_eq!(paid([None, None]).shown(&told("9"), &[]), Shown::Paid(usdt("10")), "as it was told");
        let nobody = Told { address_key: "0xb2", ..told("3") };
        assert_eq!(placed.shown(&nobody, &[]), Shown::Nothing);
        let hidden = Payments { shows_tokens: false, ..Payments::default() };
        assert_eq!(hidden.shown(&told("3"), &[]), Shown::Unknown);
    }

    #[test]
    fn tokens_of_ours_are_read_from_what_their_contracts_logged() {
        let log = |address: &str, topic: &str| {
            let to = format!("{}a614f803b6fd780986a42c78ec9c7f77e6ded13c", "0".repeat(24));
            let data = format!("{:064x}", 20_000_001);
            format!(
                r#"{{"address":"{address}","topics":["{topic}","{to}","{to}"],"data":"{data}","logIndex":3}}"#
            )
        };
        let usdt = "a614f803b6fd780986a42c78ec9c7f77e6ded13c";
        let logs =
            [log(usdt, TRANSFER), log(usdt, &"0".repeat(64)), log(&"1".repeat(40), TRANSFER)].join(",");
        let tron = of(Chain::Tron, &format!(r#"{{"log":[{logs}]}}"#)).unwrap();
        let usdt = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t".to_owned();
        assert_eq!(shown(&tron), [(usdt, "20.000001 USDT".to_owned(), Some("3"))]);
        assert!(tron.shows_tokens && !tron.shows_coins);
        assert_eq!(of(Chain::Tron, "{}").unwrap(), Payments::default());
        assert_eq!(units(&"f".repeat(64)), None);
        assert_eq!(units("0x01"), None);
    }
}
