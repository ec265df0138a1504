//! Against the recorded envelopes, each changed in every bit, and against bytes of any kind.

use proptest::prelude::*;
use serde_json::Value;
use stellar_xdr::{
    AccountId, AlphaNum4, AlphaNum12, AssetCode4, AssetCode12, Hash, MuxedAccountMed25519, PreconditionsV2,
    PublicKey, TimePoint, TransactionV1Envelope, Uint256,
};

use super::*;

const PAYER: [u8; 32] = [7; 32];
/// The upper time bound of every recorded envelope.
const END_S: u64 = 1_760_003_600;

fn vectors() -> Value {
    serde_json::from_str::<Value>(include_str!("../../../vectors/trovotech.json")).unwrap()["bantu"].clone()
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name].as_str().unwrap()
}

/// The recorded unsigned envelope: all three cases have the same.
fn recorded() -> String {
    text(&vectors()["tx_signing"][0], "unsigned_envelope_xdr_base64").to_owned()
}

fn expected() -> ExpectedPayment {
    let vectors = vectors();
    ExpectedPayment {
        source: text(&vectors, "public_key").to_owned(),
        destination: text(&vectors, "destination_public_key").to_owned(),
        asset: PaymentAsset::Native,
        amount: Decimal::new(105, 1),
        memo: Some("inv-1".to_owned()),
        highest_fee: 100,
        now_s: END_S - 60,
        dead_after_s: END_S,
    }
}

/// The recorded transaction after a change, decoded again.
fn changed(change: impl FnOnce(&mut Transaction)) -> Result<UnsignedPayment, EnvelopeError> {
    let bytes = STANDARD.decode(recorded()).unwrap();
    let TransactionEnvelope::Tx(mut envelope) =
        TransactionEnvelope::from_xdr(bytes, Limits::depth(DEEPEST)).unwrap()
    else {
        panic!("another kind of envelope")
    };
    change(&mut envelope.tx);
    let bytes = TransactionEnvelope::Tx(envelope).to_xdr(Limits::depth(DEEPEST)).unwrap();
    UnsignedPayment::decode(&STANDARD.encode(bytes))
}

fn change_payment(transaction: &mut Transaction, change: impl FnOnce(&mut PaymentOp)) {
    let mut operations = transaction.operations.to_vec();
    let OperationBody::Payment(payment) = &mut operations[0].body else { panic!("no payment") };
    change(payment);
    transaction.operations = operations.try_into().unwrap();
}

#[test]
fn every_recorded_transaction_has_its_hash_signature_and_signed_envelope() {
    let vectors = vectors();
    let mut seed = [0_u8; 32];
    hex::decode_to_slice(text(&vectors, "seed_hex"), &mut seed).unwrap();
    assert_eq!(seed, PAYER);
    let cases = vectors["tx_signing"].as_array().unwrap();
    for case in cases {
        let (name, passphrase) = (text(case, "name"), text(case, "network_passphrase"));
        let payment = UnsignedPayment::decode(text(case, "unsigned_envelope_xdr_base64")).unwrap();
        assert_eq!(payment.check(&expected()), Ok(()), "{name}");
        let bounds = TimeBounds { not_before_s: 0, not_after_s: END_S };
        assert_eq!((payment.time_bounds, payment.fee), (Some(bounds), 100), "{name}");
        assert_eq!(hex::encode(network_id(passphrase)), text(case, "network_id_hex"), "{name}");
        assert_eq!(hex::encode(payment.hash(passphrase)), text(case, "tx_hash_hex"), "{name}");
        let signed = payment.sign(&Seed::new(seed), passphrase);
        assert_eq!(signed.signature, text(case, "transaction_signature_base64"), "{name}");
        assert_eq!(signed.envelope, text(case, "signed_envelope_xdr_base64"), "{name}");
        assert_eq!(UnsignedPayment::decode(&signed.envelope), Err(EnvelopeError::Signed), "{name}");
    }
    assert_eq!(cases.len(), 3);
}

#[test]
fn the_hash_and_the_signed_envelope_are_those_of_the_xdr_library() {
    let payment = UnsignedPayment::decode(&recorded()).unwrap();
    let signed = STANDARD.decode(payment.sign(&Seed::new(PAYER), "a network").envelope).unwrap();
    let envelope = TransactionEnvelope::from_xdr(signed, Limits::depth(DEEPEST)).unwrap();
    assert_eq!(envelope.hash(network_id("a network")), Ok(payment.hash("a network")));
}

#[test]
fn no_changed_byte_is_accepted_except_in_what_the_check_allows_and_then_the_hash_differs() {
    let original = UnsignedPayment::decode(&recorded()).unwrap();
    let bytes = STANDARD.decode(recorded()).unwrap();
    let asked = expected();
    let mut accepted = 0;
    for (at, flip) in (0..bytes.len()).flat_map(|at| (1..=u8::MAX).map(move |flip| (at, flip))) {
        let mut bytes = bytes.clone();
        bytes[at] ^= flip;
        let Ok(payment) = UnsignedPayment::decode(&STANDARD.encode(bytes)) else { continue };
        assert_ne!(payment.hash("a network"), original.hash("a network"), "byte {at} ^ {flip}");
        if payment.check(&asked).is_ok() {
            accepted += 1;
            // A lower fee, the sequence number, and time bounds within ours.
            assert!((40..52).contains(&at) || (56..72).contains(&at), "byte {at} ^ {flip}");
        }
    }
    assert!(accepted >= 8 * 255, "the sequence number is free");
}

#[test]
fn each_field_that_differs_is_named() {
    let stranger = || MuxedAccount::Ed25519(Uint256([9; 32]));
    let refused = |change: fn(&mut Transaction)| changed(change).unwrap().check(&expected());
    let twice = |tx: &mut Transaction| {
        tx.operations = [&tx.operations[..], &tx.operations].concat().try_into().unwrap();
    };
    assert_eq!(changed(twice).unwrap().check(&expected()), Err(Mismatch::Operations));
    let source = changed(|tx| tx.source_account = stranger()).unwrap();
    assert_eq!(source.check(&expected()), Err(Mismatch::Source));
    let destination = changed(|tx| change_payment(tx, |payment| payment.destination = stranger())).unwrap();
    assert_eq!(destination.check(&expected()), Err(Mismatch::Destination));
    let muxed = |payment: &mut PaymentOp| {
        let MuxedAccount::Ed25519(ed25519) = payment.destination.clone() else { panic!("muxed") };
        payment.destination = MuxedAccount::MuxedEd25519(MuxedAccountMed25519 { id: 1, ed25519 });
    };
    let muxed = changed(|tx| change_payment(tx, muxed)).unwrap();
    assert_eq!(muxed.check(&expected()), Err(Mismatch::Destination));
    assert_eq!(refused(|tx| change_payment(tx, |payment| payment.amount += 1)), Err(Mismatch::Amount));
    assert_eq!(
        refused(|tx| change_payment(tx, |payment| payment.amount = -payment.amount)),
        Err(Mismatch::Amount)
    );
    assert_eq!(refused(|tx| tx.memo = Memo::None), Err(Mismatch::Memo));
    assert_eq!(refused(|tx| tx.memo = Memo::Text("inv-2".try_into().unwrap())), Err(Mismatch::Memo));
    assert_eq!(refused(|tx| tx.fee = 101), Err(Mismatch::Fee));
    assert_eq!(refused(|tx| tx.fee = 99), Ok(()));
}

#[test]
fn an_operation_may_name_the_payer_again_but_nobody_else() {
    let named = |source: MuxedAccount| {
        changed(|tx| {
            let mut operations = tx.operations.to_vec();
            operations[0].source_account = Some(source);
            tx.operations = operations.try_into().unwrap();
        })
        .unwrap()
        .check(&expected())
    };
    assert_eq!(named(MuxedAccount::Ed25519(Uint256(Seed::new(PAYER).public_key()))), Ok(()));
    assert_eq!(named(MuxedAccount::Ed25519(Uint256([9; 32]))), Err(Mismatch::OperationSource));
}

#[test]
fn a_payment_must_be_valid_now_and_end_in_time() {
    let bounded = |from: u64, to: u64| {
        let bounds = stellar_xdr::TimeBounds { min_time: TimePoint(from), max_time: TimePoint(to) };
        changed(|tx| tx.cond = Preconditions::Time(bounds)).unwrap().check(&expected())
    };
    let now_s = expected().now_s;
    assert_eq!(bounded(now_s, now_s), Ok(()));
    assert_eq!(bounded(0, END_S), Ok(()));
    for (from, to) in [(0, 0), (0, now_s - 1), (now_s + 1, END_S), (0, END_S + 1)] {
        assert_eq!(bounded(from, to), Err(Mismatch::TimeBounds), "{from} to {to}");
    }
    let unbounded = changed(|tx| tx.cond = Preconditions::None).unwrap();
    assert_eq!(unbounded.check(&expected()), Err(Mismatch::TimeBounds));
}

#[test]
fn an_issued_asset_is_its_code_and_its_issuer() {
    let issuer = AccountId(PublicKey::PublicKeyTypeEd25519(Uint256([9; 32])));
    let paid_in = |asset: Asset| changed(|tx| change_payment(tx, |payment| payment.asset = asset));
    let short = |code: &[u8; 4]| {
        paid_in(Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(*code), issuer: issuer.clone() }))
    };
    let long = |code: &[u8; 12]| {
        paid_in(Asset::CreditAlphanum12(AlphaNum12 {
            asset_code: AssetCode12(*code),
            issuer: issuer.clone(),
        }))
    };
    for (payment, code) in
        [(short(b"A\0\0\0"), "A"), (short(b"SOLR"), "SOLR"), (long(b"SOLAR\0\0\0\0\0\0\0"), "SOLAR")]
    {
        let payment = payment.unwrap();
        assert_eq!(payment.check(&expected()), Err(Mismatch::Asset), "{code}");
        let asset = |issuer: &str| PaymentAsset::Issued { code: code.to_owned(), issuer: issuer.to_owned() };
        let asked = ExpectedPayment { asset: asset(&issuer.to_string()), ..expected() };
        assert_eq!(payment.check(&asked), Ok(()), "{code}");
        let other_issuer = ExpectedPayment { asset: asset(&expected().source), ..expected() };
        assert_eq!(payment.check(&other_issuer), Err(Mismatch::Asset), "{code}");
    }
    for impossible in [short(b"\0\0\0\0"), short(b"A\0B\0"), short(b"A-B\0"), long(b"SOLR\0\0\0\0\0\0\0\0")] {
        assert!(matches!(impossible, Err(EnvelopeError::Unsupported(_))));
    }
}

#[test]
fn what_the_check_cannot_compare_is_not_decoded() {
    let unsupported =
        |change: fn(&mut Transaction)| matches!(changed(change), Err(EnvelopeError::Unsupported(_)));
    assert!(unsupported(|tx| tx.memo = Memo::Id(1)));
    assert!(unsupported(|tx| tx.memo = Memo::Hash(Hash([1; 32]))));
    assert!(unsupported(|tx| tx.memo = Memo::Text(vec![0xff].try_into().unwrap())));
    assert!(unsupported(|tx| tx.cond = Preconditions::V2(PreconditionsV2::default())));
    assert!(unsupported(|tx| tx.ext = TransactionExt::V1(stellar_xdr::SorobanTransactionData::default())));
    assert!(unsupported(|tx| tx.operations = Vec::new().try_into().unwrap()));
    assert!(unsupported(|tx| {
        let merge = OperationBody::AccountMerge(MuxedAccount::Ed25519(Uint256([9; 32])));
        tx.operations = vec![Operation { source_account: None, body: merge }].try_into().unwrap();
    }));
    let old = TransactionEnvelope::TxV0(stellar_xdr::TransactionV0Envelope::default());
    let bump = TransactionEnvelope::TxFeeBump(stellar_xdr::FeeBumpTransactionEnvelope::default());
    for envelope in [old, bump] {
        let xdr = STANDARD.encode(envelope.to_xdr(Limits::depth(DEEPEST)).unwrap());
        assert!(matches!(UnsignedPayment::decode(&xdr), Err(EnvelopeError::Unsupported(_))));
    }
}

#[test]
fn text_that_is_no_envelope_is_refused() {
    let recorded = recorded();
    assert_eq!(UnsignedPayment::decode(""), Err(EnvelopeError::Malformed));
    assert_eq!(UnsignedPayment::decode(&format!(" {recorded}")), Err(EnvelopeError::NotBase64));
    assert_eq!(UnsignedPayment::decode(&"A".repeat(LONGEST + 4)), Err(EnvelopeError::TooLong));
    let mut bytes = STANDARD.decode(recorded).unwrap();
    bytes.push(0);
    assert_eq!(UnsignedPayment::decode(&STANDARD.encode(bytes)), Err(EnvelopeError::Malformed));
}

#[test]
fn a_payment_with_every_part_nests_less_deep_than_is_read() {
    let issuer = AccountId(PublicKey::PublicKeyTypeEd25519(Uint256([9; 32])));
    let asset = Asset::CreditAlphanum4(AlphaNum4 { asset_code: AssetCode4(*b"SOLR"), issuer });
    let operation = Operation {
        source_account: Some(MuxedAccount::MuxedEd25519(MuxedAccountMed25519::default())),
        body: OperationBody::Payment(PaymentOp { asset, ..PaymentOp::default() }),
    };
    let tx = Transaction { operations: vec![operation].try_into().unwrap(), ..Transaction::default() };
    let envelope =
        TransactionEnvelope::Tx(TransactionV1Envelope { tx, signatures: Vec::new().try_into().unwrap() });
    let depth = (1..=DEEPEST).find(|depth| envelope.to_xdr(Limits::depth(*depth)).is_ok());
    assert_eq!(depth, Some(13));
}

proptest! {
    #[test]
    fn every_amount_that_a_ledger_can_hold_is_read_exactly(units in 1_i64..) {
        let payment = changed(|tx| change_payment(tx, |payment| payment.amount = units)).unwrap();
        prop_assert_eq!(payment.amount, Decimal::new(units, AMOUNT_SCALE));
        let asked = ExpectedPayment { amount: payment.amount, ..expected() };
        prop_assert_eq!(payment.check(&asked), Ok(()));
        let more = ExpectedPayment { amount: payment.amount + Decimal::new(1, AMOUNT_SCALE), ..expected() };
        prop_assert_eq!(payment.check(&more), Err(Mismatch::Amount));
    }

    #[test]
    fn arbitrary_bytes_and_text_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        text in ".{0,80}",
    ) {
        prop_assert!(UnsignedPayment::decode(&STANDARD.encode(bytes)).is_err());
        prop_assert!(UnsignedPayment::decode(&text).is_err());
    }

    #[test]
    fn an_envelope_that_is_broken_anywhere_never_panics(
        start in 0_usize..156,
        end in 0_usize..156,
        filling in proptest::collection::vec(prop_oneof![Just(0), 0..30_u8, any::<u8>()], 0..80),
    ) {
        let mut bytes = STANDARD.decode(recorded()).unwrap();
        bytes.splice(start.min(end)..start.max(end), filling);
        if let Ok(payment) = UnsignedPayment::decode(&STANDARD.encode(bytes)) {
            let _ = payment.check(&expected());
            let _ = payment.sign(&Seed::new(PAYER), "a network");
        }
    }
}
