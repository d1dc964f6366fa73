//! A throw-away wallet for tests: a key, its address, and `personal_sign`.

use alloy_primitives::{Address, eip191_hash_message, hex};
use k256::ecdsa::SigningKey;

/// A wallet whose key is a small number: the same in every run.
#[derive(Debug)]
pub struct Wallet(SigningKey);

impl Wallet {
    /// The wallet of the key `number`, which is not 0.
    pub fn new(number: u8) -> Self {
        let mut key = [0; 32];
        key[31] = number;
        Self(SigningKey::from_slice(&key).expect("a small number is a key"))
    }

    /// Its address.
    pub fn address(&self) -> Address {
        Address::from_private_key(&self.0)
    }

    /// An EIP-191 signature of `message`: `0x` and 65 bytes.
    pub fn sign(&self, message: &str) -> String {
        let hash = eip191_hash_message(message);
        let (signature, recovery) =
            self.0.sign_prehash_recoverable(hash.as_slice()).expect("a hash can be signed");
        format!("0x{}{:02x}", hex::encode(signature.to_bytes()), 27 + recovery.to_byte())
    }
}
