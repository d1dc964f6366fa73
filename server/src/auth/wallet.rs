//! Wallet addresses, and who signed a message (EIP-191 `personal_sign`).

use alloy_primitives::{Address, Signature, U256, hex, uint};

/// Length of an EIP-191 signature: r, s and v.
const SIGNATURE_BYTES: usize = 65;
/// The order of secp256k1 (SEC 2, section 2.4.1).
const ORDER: U256 = uint!(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141_U256);

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

/// Why a signature is not looked at, or names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureRefused {
    /// Not `0x` and 130 hexadecimal digits: the compact form of EIP-2098 and the wrapper of ERC-6492 are not either.
    #[error("the signature is not 0x and 130 hexadecimal digits")]
    Form,
    /// `v` is neither 27 nor 28.
    #[error("the signature's v is neither 27 nor 28")]
    RecoveryId,
    /// `r` or `s` is 0, or not below the order of the curve.
    #[error("the signature's r or s is out of range")]
    Range,
    /// `s` is in the upper half: somebody turned a signature into its twin.
    #[error("the signature's s is not the low one")]
    HighS,
    /// No wallet could have made it.
    #[error("the signature is nobody's")]
    Nobody,
}

/// The wallet that signed `message` with `personal_sign`. Only the canonical form is accepted (65 bytes, a low `s`,
/// a `v` of 27 or 28), so that nobody can make a second signature out of a first.
///
/// # Errors
/// [`SignatureRefused`] when the signature is of another form, or nobody's.
pub fn recover_signer(message: &str, signature: &str) -> Result<Address, SignatureRefused> {
    let digits = signature.strip_prefix("0x").ok_or(SignatureRefused::Form)?;
    // The decoder would skip a second prefix.
    if digits.len() != 2 * SIGNATURE_BYTES || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(SignatureRefused::Form);
    }
    let mut bytes = [0; SIGNATURE_BYTES];
    hex::decode_to_slice(digits.as_bytes(), &mut bytes).map_err(|_| SignatureRefused::Form)?;
    let odd_y = match bytes[64] {
        27 => false,
        28 => true,
        _ => return Err(SignatureRefused::RecoveryId),
    };
    let [r, s] = [&bytes[..32], &bytes[32..64]].map(U256::from_be_slice);
    if [r, s].iter().any(|scalar| scalar.is_zero() || *scalar >= ORDER) {
        return Err(SignatureRefused::Range);
    }
    if s > ORDER >> 1 {
        return Err(SignatureRefused::HighS);
    }
    let signer = Signature::new(r, s, odd_y).recover_address_from_msg(message);
    signer.ok().filter(|address| !address.is_zero()).ok_or(SignatureRefused::Nobody)
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Wallet;

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

    /// Signs, and hands out r, s and v.
    fn signed(wallet: &Wallet, message: &str) -> (U256, U256, u8) {
        let bytes = hex::decode(wallet.sign(message)).unwrap();
        (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..64]), bytes[64])
    }

    fn written(r: U256, s: U256, v: u8) -> String {
        format!("0x{r:064x}{s:064x}{v:02x}")
    }

    #[test]
    fn t_24_only_canonical_signatures_are_accepted() {
        let wallet = Wallet::new(1);
        let (r, s, v) = signed(&wallet, "hello");
        assert_eq!(recover_signer("hello", &written(r, s, v)), Ok(wallet.address()));
        assert_ne!(recover_signer("hallo", &written(r, s, v)), Ok(wallet.address()));
        assert_ne!(recover_signer("hello", &written(r, s, 55 - v)), Ok(wallet.address()));

        let good = written(r, s, v);
        let digits = &good[2..];
        let compact = format!("0x{r:064x}{:064x}", s | (U256::from(v - 27) << 255));
        let wrapped = format!("0x{digits}{}", "6492".repeat(16));
        for form in [
            "",
            "0x",
            "0",
            digits,
            &format!("0X{digits}"),
            &format!("0x0x{digits}"),
            &format!("0x0x{}", &digits[2..]),
            &good[..130],
            &good[..131],
            &format!("{good}0"),
            &format!("{good}00"),
            &format!(" {good}"),
            &format!("{good}\n"),
            &compact,
            &wrapped,
            &good.replacen("0x", "0xg", 1),
            &good.replace(&digits[..2], "é"),
            &"0x11".repeat(40),
        ] {
            assert_eq!(recover_signer("hello", form), Err(SignatureRefused::Form), "{form:?}");
        }
        for v in [0, 1, 2, 26, 29, 30, 37, 38, 255] {
            let refused = recover_signer("hello", &written(r, s, v));
            assert_eq!(refused, Err(SignatureRefused::RecoveryId), "v = {v}");
        }
        let none = U256::ZERO;
        for (r, s) in [(none, s), (r, none), (ORDER, s), (r, ORDER), (ORDER + U256::ONE, s), (r, U256::MAX)] {
            assert_eq!(recover_signer("hello", &written(r, s, v)), Err(SignatureRefused::Range), "{r} {s}");
        }
        // The twin of a signature recovers the same wallet: it is what makes one signature two.
        assert_eq!(recover_signer("hello", &written(r, ORDER - s, 55 - v)), Err(SignatureRefused::HighS));
        // No point of the curve has this x (5 is the smallest such number).
        assert_eq!(recover_signer("hello", &written(U256::from(5), s, v)), Err(SignatureRefused::Nobody));
    }

    /// Anybody can make this signature; the key that it leads to is the point at infinity.
    #[test]
    fn t_24_the_zero_address_is_nobody() {
        let generator = uint!(0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798_U256);
        let hash = U256::from_be_bytes(alloy_primitives::eip191_hash_message("hello").0);
        // Q = r⁻¹(sR − zG) with R = G: s = z gives the point at infinity.
        let z = hash % ORDER;
        let (s, v) = if z > ORDER >> 1 { (ORDER - z, 28) } else { (z, 27) };
        assert_eq!(recover_signer("hello", &written(generator, s, v)), Err(SignatureRefused::Nobody));
    }

    proptest! {
        #[test]
        fn t_24_no_signature_makes_it_panic(
            bytes in vec(any::<u8>(), SIGNATURE_BYTES),
            v in 27_u8..=28,
            text in "\\PC*",
            message in "\\PC*",
        ) {
            let mut bytes = bytes;
            let _ = recover_signer(&message, &hex::encode_prefixed(&bytes));
            bytes[64] = v;
            bytes[32] &= 0x7f;
            let recovered = recover_signer(&message, &hex::encode_prefixed(&bytes));
            prop_assert_ne!(recovered, Ok(Address::ZERO));
            prop_assert!(recover_signer(&message, &text).is_err());
            let with_prefix = format!("0x{text}");
            prop_assert!(recover_signer(&message, &with_prefix).is_err());
        }
    }

    #[test]
    fn an_address_is_masked_in_logs() {
        assert_eq!(masked(ADDRESS), "0x7E5F…5Bdf");
        assert_eq!(masked("short"), "…");
    }
}
