//! `tidegate keys`: makes the keys that sign access tokens.

use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::create_private;
use crate::auth::keys::{KeyKind, SigningKey};
use crate::failure::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Write a new private key, and show its name and its public half
    Generate {
        /// EdDSA or ES256
        #[arg(long = "alg", value_name = "ALGORITHM", default_value = "EdDSA", ignore_case = true)]
        kind: KeyKind,

        /// The file to write, readable by its owner only; it must not be there yet
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

impl Verb {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self::Generate { kind, out } = self;
        generate(kind, &out)
    }
}

/// Never overwrites: the file that is there may be the only copy of a key in use.
fn generate(kind: KeyKind, out: &Path) -> Result<(), Failure> {
    let pem = SigningKey::generate(kind);
    let key = SigningKey::from_pem(&pem, None).expect("a key that was just made");
    create_private(out, pem.as_bytes()).map_err(|error| {
        let fix = match error.kind() {
            io::ErrorKind::AlreadyExists => "move it away first, or name another file with --out",
            _ => "choose a folder that can be written, with --out",
        };
        Failure::environment("TG-CLI-013", format!("cannot write the key: {error}"), fix)
            .at(out.display().to_string())
    })?;
    let kid = key.kid().expect("keys from PEM have names");
    let jwk = key.verifying().public_jwk(kid).expect("it has a public half");
    println!("kid         {kid}\npublic key  {jwk}");
    eprintln!(
        "wrote {file}: keep it private\n\
         to sign with it:  signing_keys = [{{ file = \"{file}\" }}]  in [auth], the key before it behind it",
        file = out.display()
    );
    Ok(())
}
