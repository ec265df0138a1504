//! `payfleet hash-token`: what the producer's `API_TOKENS` needs. The producer knows tokens by their
//! hash only; a token is shown once, here.

use std::io::{IsTerminal, Read};

use payfleet_core::TenantId;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::show;

/// Options of `payfleet hash-token`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  payfleet hash-token --name shop                 a new token for tenant default
  payfleet hash-token --stdin < token.txt         the hash of a token that exists")]
pub(crate) struct Options {
    /// Hash the token on stdin instead of making one; spaces around it are not part of it
    #[arg(long)]
    stdin: bool,
    /// Who will use it
    #[arg(long, default_value = "app")]
    name: String,
    /// Whose operations it may make and see
    #[arg(long, default_value = "default")]
    tenant: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Hashed {
    /// Absent where the caller has it already.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    sha256: String,
    /// One entry of `API_TOKENS`.
    api_token: String,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let tenant = TenantId::try_from(options.tenant.clone())?;
    anyhow::ensure!(
        !options.name.is_empty() && !options.name.contains([':', ',', ' ']),
        "--name must not be empty or hold ':', ',' or a space"
    );
    let hashed = if options.stdin {
        let token = given(std::io::stdin())?;
        Hashed { token: None, ..hash(&token, &options.name, &tenant) }
    } else {
        hash(&new_token()?, &options.name, &tenant)
    };
    if options.json {
        return show::json(&hashed);
    }
    if let Some(token) = &hashed.token {
        println!("token:       {token}\n             (shown only now: give it to its user)");
    }
    println!("sha256:      {}\nAPI_TOKENS:  {}", hashed.sha256, hashed.api_token);
    Ok(())
}

/// 256 random bits, as hex.
pub(crate) fn new_token() -> anyhow::Result<String> {
    let mut random = [0_u8; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(hex::encode(random))
}

fn given(mut input: std::io::Stdin) -> anyhow::Result<String> {
    if input.is_terminal() {
        eprintln!("Type the token, then Ctrl-D:");
    }
    let mut text = String::new();
    input.read_to_string(&mut text)?;
    let token = text.trim();
    anyhow::ensure!(token.len() >= 32, "a token of fewer than 32 characters can be guessed");
    Ok(token.to_owned())
}

fn hash(token: &str, name: &str, tenant: &TenantId) -> Hashed {
    let sha256 = hex::encode(Sha256::digest(token.as_bytes()));
    let api_token = format!("{name}:{}:{sha256}", tenant.as_str());
    Hashed { token: Some(token.to_owned()), sha256, api_token }
}

/// One entry of `API_TOKENS` for `token`.
pub(crate) fn api_token(token: &str, name: &str, tenant: &TenantId) -> String {
    hash(token, name, tenant).api_token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_token_has_256_bits_and_is_never_the_same() {
        let token = new_token().unwrap();
        assert_eq!(token.len(), 64);
        assert_ne!(token, new_token().unwrap());
    }

    #[test]
    fn the_entry_is_what_the_producer_reads() {
        let entry = api_token("abc", "shop", &TenantId::default());
        assert_eq!(entry, "shop:default:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
