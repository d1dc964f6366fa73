//! Wallet addresses, the EIP-4361 message that a wallet signs, and who signed it (EIP-191).

use alloy_primitives::{Address, Signature};

/// Length of an EIP-191 signature: r, s and v.
const SIGNATURE_BYTES: usize = 65;

/// Reads a wallet address in any letter case.
///
/// # Errors
/// What is wrong with it.
pub fn parse_address(text: &str) -> Result<Address, &'static str> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 40);
    match digits.map(|_| text.parse::<Address>()) {
        Some(Ok(address)) => Ok(address),
        _ => Err("`wallet_address` must be `0x` and 40 hexadecimal digits"),
    }
}

/// What goes into a sign-in message.
#[derive(Clone, Debug)]
pub struct Statement<'a> {
    /// Host and port of the page that asks.
    pub domain: &'a str,
    /// The wallet.
    pub address: Address,
    /// The whole address of the page that asks.
    pub uri: &'a str,
    /// The chain of the wallet.
    pub chain_id: u64,
    /// Makes the message unique.
    pub nonce: &'a str,
    /// When it was made, ISO 8601.
    pub issued_at: &'a str,
    /// Until when it may be answered, ISO 8601.
    pub expiration_time: &'a str,
}

impl Statement<'_> {
    /// The EIP-4361 message, byte for byte as it is to be signed.
    #[must_use]
    pub fn to_message(&self) -> String {
        format!(
            "{} wants you to sign in with your Ethereum account:\n{}\n\n\
             Sign in to Tidegate. This costs nothing and sends no transaction.\n\n\
             URI: {}\nVersion: 1\nChain ID: {}\nNonce: {}\nIssued At: {}\nExpiration Time: {}",
            self.domain,
            self.address.to_checksum(None),
            self.uri,
            self.chain_id,
            self.nonce,
            self.issued_at,
            self.expiration_time
        )
    }
}

/// The wallet that signed `message` with `personal_sign`; none if the signature is not canonical: 65 bytes,
/// a low `s` and a `v` of 27 or 28, so that every signature has one form only.
#[must_use]
pub fn recover_signer(message: &str, signature: &str) -> Option<Address> {
    let digits = signature.strip_prefix("0x")?;
    if digits.len() != SIGNATURE_BYTES * 2 {
        return None;
    }
    let bytes = alloy_primitives::hex::decode(digits).ok()?;
    if !matches!(bytes.last(), Some(27 | 28)) {
        return None;
    }
    let signature = Signature::from_raw(&bytes).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    signature.recover_address_from_msg(message).ok().filter(|address| !address.is_zero())
}

/// The address as logs show it: enough to recognise, not enough to look up.
#[must_use]
pub fn masked(address: &str) -> String {
    match (address.get(..6), address.get(address.len().saturating_sub(4)..)) {
        (Some(head), Some(tail)) if address.len() > 12 => format!("{head}…{tail}"),
        _ => "…".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signature of `hello` by the well-known key 0x…01, made with another library.
    const ADDRESS: &str = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

    #[test]
    fn an_address_is_read_in_any_case_and_nothing_else_is_one() {
        for text in [ADDRESS, &ADDRESS.to_lowercase()] {
            assert_eq!(parse_address(text).unwrap().to_checksum(None), ADDRESS);
        }
        for text in ["", "0x", "7E5F4552091A69125d5DfCb7b8C2659029395Bdf", "0x7E5F", &format!("{ADDRESS}0")] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_malformed_signature_recovers_nobody_and_never_panics() {
        let zeros = format!("0x{}1b", "00".repeat(64));
        let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
        let s_is_n = format!("0x{}{order}1b", "11".repeat(32));
        let compact = format!("0x{}", "11".repeat(64));
        let bad_v = format!("0x{}1d", "11".repeat(64));
        for signature in ["", "0x", "zz", &zeros, &s_is_n, &compact, &bad_v, &"0x11".repeat(40)] {
            assert_eq!(recover_signer("hello", signature), None, "{signature}");
        }
    }

    #[test]
    fn an_address_is_masked_in_logs() {
        assert_eq!(masked(ADDRESS), "0x7E5F…5Bdf");
        assert_eq!(masked("short"), "…");
    }
}
