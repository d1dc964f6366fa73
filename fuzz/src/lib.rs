//! What must hold for any bytes. The fuzz targets call these functions, and so does an ordinary test of the server,
//! with the committed corpus and thousands of variants of it.

mod properties;

pub use properties::{
    client_message, is_accepted, is_accepted_once_signed, names_a_wallet, signature, siwe_message,
    token, token_parts,
};
