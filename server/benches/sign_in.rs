//! What signing in costs: answers to challenges and access tokens that one core checks in a second.
//!
//! `cargo bench --package tidegate-server --bench sign_in`

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tidegate_server::auth::challenge::Challenges;
use tidegate_server::auth::keys::{KeyKind, SigningKey};
use tidegate_server::auth::token::Tokens;
use tidegate_server::auth::wallet::recover_signer;
use tidegate_server::config::{AuthConfig, Secret, SigningKeyFile};

#[expect(unreachable_pub, reason = "shared with the tests")]
#[path = "../tests/support/wallet.rs"]
mod wallet;

const NOW_MS: i64 = 1_762_252_200_000;
const WALLET: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
/// Each figure is the best of these: the others were disturbed.
const ROUNDS: usize = 5;
const PER_ROUND: usize = 500;

fn main() {
    let wallet = wallet::Wallet::new(1);
    let challenges = Challenges::new(5, 1);
    let mut network = 0_u32;
    best("sign-ins: message read and compared, signer recovered", || {
        // Each from a network of its own: one network gets twenty.
        let issue = |_| {
            network += 1;
            let ip = Ipv4Addr::from_bits(network).into();
            let issued = challenges.issue(wallet.address(), "a.example", "https://a.example", ip, NOW_MS);
            let message = issued.expect("there is room").message;
            let signature = wallet.sign(&message);
            (message, signature)
        };
        let signed: Vec<_> = (0..PER_ROUND).map(issue).collect();
        time(|| {
            for (message, signature) in &signed {
                challenges.answer(wallet.address(), message, signature, NOW_MS).expect("a good answer");
            }
        })
    });
    let signature = wallet.sign("hello");
    best("of that, recoveries of a signer", || {
        time(|| {
            for _ in 0..PER_ROUND {
                std::hint::black_box(recover_signer("hello", &signature)).expect("a good signature");
            }
        })
    });
    let secret = Secret::random();
    tokens("access tokens, HS256", &Tokens::new(&secret, "tidegate", "tidegate", 15));
    for (name, kind) in [("access tokens, EdDSA", KeyKind::EdDsa), ("access tokens, ES256", KeyKind::Es256)] {
        let file = std::env::temp_dir().join(format!("tidegate-bench-{}-{kind:?}.pem", std::process::id()));
        std::fs::write(&file, SigningKey::generate(kind).as_bytes()).expect("a folder for temporary files");
        let signing_keys = vec![SigningKeyFile { file: file.clone(), kid: None }];
        let opened = Tokens::open(&AuthConfig { signing_keys, ..AuthConfig::default() });
        std::fs::remove_file(file).expect("it was just written");
        tokens(name, &opened.expect("a good key"));
    }
}

fn tokens(name: &str, tokens: &Tokens) {
    let token = tokens.mint(WALLET, &["user"], "sid", "jti", NOW_MS).token;
    best(name, || {
        time(|| (0..PER_ROUND).for_each(|_| drop(tokens.verify(&token, NOW_MS).expect("a good token"))))
    });
}

fn time(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn best(name: &str, mut round: impl FnMut() -> Duration) {
    let fastest = (0..ROUNDS).map(|_| round()).min().expect("there are rounds");
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let per_second = PER_ROUND as f64 / fastest.as_secs_f64();
    println!("{per_second:>10.0} a second and core   {name}");
}
