//! Every way to get a token accepted that should not be, by rows of the security specification.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use super::*;
use crate::auth::keys::KeyKind;
use crate::config::SigningKeyFile;

const NOW_MS: i64 = 1_762_252_200_000;
const NOW: i64 = NOW_MS / 1_000;
const WALLET: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
const SID: &str = "0193a7c5-6e0f-7d53-9c2b-0a2f6f0d4b11";
const JTI: &str = "0193a7c5-6e0f-7d53-9c2b-0a2f6f0d4b12";
const ELSEWHERE: &str = "https://login.example";

/// An RSA key takes a while to make: one for all tests.
static RSA: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());

/// Files that are gone when the test is over.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-keys-{}", Uuid::now_v7()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn secret() -> Secret {
    Secret::new(SECRET.into())
}

fn tokens(secret: &str) -> Tokens {
    Tokens::new(&Secret::new(secret.into()), "tidegate", "tidegate", 15)
}

fn mint(tokens: &Tokens) -> String {
    tokens.mint(WALLET, &["user"], SID, JTI, NOW_MS).token
}

/// A gateway with a secret, two keys, and an issuer elsewhere for each algorithm of public keys.
struct Everything {
    tokens: Tokens,
    eddsa: SigningKey,
    es256: SigningKey,
    eddsa_pem: String,
    rsa_pem: String,
}

fn public_pem(der: &[u8]) -> String {
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", wrapped(&STANDARD.encode(der)))
}

fn wrapped(text: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}

fn rsa_pem() -> String {
    let der: PublicKeyX509Der<'_> = RSA.public_key().as_der().unwrap();
    public_pem(der.as_ref())
}

/// The public half of an Ed25519 key as `openssl pkey -pubout` writes it.
fn ed25519_pem(key: &SigningKey) -> String {
    let jwk = key.verifying().public_jwk("").unwrap();
    let x = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
    public_pem(&[b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00".as_slice(), &x].concat())
}

impl Everything {
    fn new() -> Self {
        let folder = Folder::new();
        let [eddsa_pem, es256_pem] = [KeyKind::EdDsa, KeyKind::Es256].map(SigningKey::generate);
        let eddsa = SigningKey::from_pem(&eddsa_pem, Some("ed")).unwrap();
        let es256 = SigningKey::from_pem(&es256_pem, Some("es")).unwrap();
        let (eddsa_public, rsa_pem) = (ed25519_pem(&eddsa), rsa_pem());
        let trusted = |issuer: &str, name: &str, pem: &str| TrustedIssuer {
            issuer: issuer.into(),
            audience: "gateway".into(),
            jwks_url: None,
            public_key_file: Some(folder.write(name, pem)),
            roles: vec!["user".into()],
        };
        let key =
            |kid: &str, pem: &str| SigningKeyFile { file: folder.write(kid, pem), kid: Some(kid.into()) };
        let config = AuthConfig {
            jwt_secret: secret(),
            signing_keys: vec![key("es", &es256_pem), key("ed", &eddsa_pem)],
            trusted_issuers: vec![
                trusted(ELSEWHERE, "rsa.pem", &rsa_pem),
                trusted("https://ed.example", "ed.pem", &eddsa_public),
            ],
            ..AuthConfig::default()
        };
        let tokens = Tokens::open(&config).unwrap();
        Self { tokens, eddsa, es256, eddsa_pem: eddsa_public, rsa_pem }
    }

    fn refused(&self, what: &str, token: &str) {
        println!("refused: {what}");
        let verdict = self.tokens.verify(token, NOW_MS);
        assert_eq!(verdict, Err(TokenRefused::Invalid), "{what}: {:?}", self.tokens.examine(token, NOW_MS));
    }
}

fn claims() -> Value {
    json!({"iss": "tidegate", "aud": "tidegate", "sub": WALLET, "iat": NOW, "exp": NOW + 900,
        "jti": JTI, "sid": SID, "roles": ["user"]})
}

fn foreign_claims(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": "gateway", "sub": "somebody", "iat": NOW, "exp": NOW + 900, "jti": "1"})
}

fn header(alg: &str) -> Value {
    json!({"typ": "at+jwt", "alg": alg})
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

fn without(mut object: Value, name: &str) -> Value {
    object.as_object_mut().unwrap().remove(name).unwrap();
    object
}

/// A token of exactly these texts, signed by `sign`.
fn raw(header: &str, claims: &str, sign: impl Fn(&[u8]) -> String) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{message}.{}", sign(message.as_bytes()))
}

fn signed(header: &Value, claims: &Value, key: &SigningKey) -> String {
    raw(&header.to_string(), &claims.to_string(), |message| key.sign(message))
}

fn hs256(header: &Value, claims: &Value) -> String {
    signed(header, claims, &SigningKey::from_secret(&secret()))
}

fn rs256(header: &Value, claims: &Value) -> String {
    raw(&header.to_string(), &claims.to_string(), |message| {
        let mut signature = vec![0; RSA.public_modulus_len()];
        RSA.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
        URL_SAFE_NO_PAD.encode(signature)
    })
}

#[test]
fn a_token_names_its_wallet_until_it_expires() {
    let tokens = tokens(SECRET);
    let minted = tokens.mint(WALLET, &["user"], SID, JTI, NOW_MS);
    let identity = tokens.verify(&minted.token, NOW_MS).unwrap();
    assert_eq!(&*identity.user_id, WALLET);
    assert_eq!(&*identity.family, SID);
    assert_eq!((identity.expires_at_ms, minted.expires_at_ms), (NOW_MS + 900_000, NOW_MS + 900_000));
    assert!(tokens.verify(&minted.token, NOW_MS + 904_000).is_ok(), "within the leeway");
    assert_eq!(tokens.verify(&minted.token, NOW_MS + 905_000), Err(TokenRefused::Expired));
    assert_eq!(tokens.verify(&minted.token, NOW_MS - 6_000), Err(TokenRefused::Invalid), "issued later");
}

#[test]
fn every_kind_of_key_gives_the_same_token_for_the_same_arguments() {
    for kind in [KeyKind::EdDsa, KeyKind::Es256] {
        let folder = Folder::new();
        let file = folder.write("key.pem", &SigningKey::generate(kind));
        let signing_keys = vec![SigningKeyFile { file, kid: None }];
        let tokens = Tokens::open(&AuthConfig { signing_keys, ..AuthConfig::default() }).unwrap();
        assert_eq!(mint(&tokens), mint(&tokens));
        assert!(tokens.verify(&mint(&tokens), NOW_MS).is_ok());
        assert!(Tokens::read(&mint(&tokens)).unwrap().header["kid"].is_string());
    }
    assert_eq!(mint(&tokens(SECRET)), mint(&tokens(SECRET)));
}

#[test]
fn good_tokens_of_every_source_pass() {
    let all = Everything::new();
    assert!(all.tokens.verify(&mint(&all.tokens), NOW_MS).is_ok());
    assert!(all.tokens.verify(&hs256(&header("HS256"), &claims()), NOW_MS).is_ok());
    let eddsa = signed(&with(header("EdDSA"), "kid", json!("ed")), &claims(), &all.eddsa);
    assert!(all.tokens.verify(&eddsa, NOW_MS).is_ok());
    let es256 = signed(&with(header("ES256"), "kid", json!("es")), &claims(), &all.es256);
    assert!(all.tokens.verify(&es256, NOW_MS).is_ok());
    let foreign = rs256(&with(header("RS256"), "kid", json!("theirs")), &foreign_claims(ELSEWHERE));
    let identity = all.tokens.verify(&foreign, NOW_MS).unwrap();
    assert_eq!((&*identity.user_id, &*identity.family), ("somebody", "1"), "its own id stands for a session");
    assert_eq!(identity.roles, ["user"], "a role of its own");
    let admin = with(foreign_claims(ELSEWHERE), "roles", json!(["admin", "user"]));
    assert_eq!(all.tokens.verify(&rs256(&header("RS256"), &admin), NOW_MS).unwrap().roles, ["user"]);
    let ed = signed(&header("EdDSA"), &foreign_claims("https://ed.example"), &all.eddsa);
    assert!(all.tokens.verify(&ed, NOW_MS).is_ok());
}

#[test]
fn t17_no_algorithm_is_none_and_no_family_passes_for_another() {
    let all = Everything::new();
    for none in ["none", "None", "NONE", "nOnE", "", "HS512", "hs256", "RS256 "] {
        let unsigned = raw(&header(none).to_string(), &claims().to_string(), |_| String::new());
        all.refused(none, &unsigned);
        all.refused(none, &hs256(&header(none), &claims()));
    }
    all.refused("alg is no text", &hs256(&with(header("x"), "alg", json!(["HS256"])), &claims()));
    all.refused("no alg", &hs256(&json!({"typ": "at+jwt"}), &claims()));
    // HS256 with the bytes of a public key, which everybody knows, as its secret.
    let x = all.eddsa.verifying().public_jwk("").unwrap()["x"].as_str().unwrap().to_owned();
    let publicly_known = [
        all.rsa_pem.clone().into_bytes(),
        all.rsa_pem.trim().as_bytes().to_vec(),
        RSA.public_key().as_ref().to_vec(),
        all.eddsa_pem.clone().into_bytes(),
        URL_SAFE_NO_PAD.decode(&x).unwrap(),
        x.into_bytes(),
    ];
    let claims_of_all = [claims(), foreign_claims(ELSEWHERE), foreign_claims("https://ed.example")];
    for bytes in publicly_known {
        let secret = jsonwebtoken::EncodingKey::from_secret(&bytes);
        for claims in &claims_of_all {
            for kid in [None, Some("ed"), Some("es")] {
                for alg in ["HS256", "EdDSA", "ES256", "RS256"] {
                    let mut header = header(alg);
                    if let Some(kid) = kid {
                        header["kid"] = kid.into();
                    }
                    let token = raw(&header.to_string(), &claims.to_string(), |message| {
                        jsonwebtoken::crypto::sign(message, &secret, jsonwebtoken::Algorithm::HS256).unwrap()
                    });
                    all.refused(&format!("HS256 with a public key as {alg}, kid {kid:?}"), &token);
                }
            }
        }
    }
    // A good key under another name, or for another algorithm or issuer.
    for (alg, kid, key) in [
        ("ES256", "ed", &all.es256),
        ("EdDSA", "es", &all.eddsa),
        ("ES256", "ed", &all.eddsa),
        ("HS256", "ed", &all.eddsa),
        ("RS256", "es", &all.es256),
    ] {
        all.refused(kid, &signed(&with(header(alg), "kid", json!(kid)), &claims(), key));
    }
    all.refused("a key without its name", &signed(&header("EdDSA"), &claims(), &all.eddsa));
    all.refused("their key, our name", &rs256(&header("RS256"), &claims()));
    all.refused("our secret, their name", &hs256(&header("HS256"), &foreign_claims(ELSEWHERE)));
    let theirs = foreign_claims(ELSEWHERE);
    all.refused("one issuer's key for another", &signed(&header("EdDSA"), &theirs, &all.eddsa));
    all.refused("unknown issuer", &rs256(&header("RS256"), &foreign_claims("https://login.example/")));
}

#[test]
fn t17_a_header_cannot_bring_or_choose_a_key() {
    let all = Everything::new();
    let kids = [
        json!("../../dev/null"),
        json!("/dev/null"),
        json!("ed\u{0}"),
        json!("' UNION SELECT 'aaa"),
        json!("ed' OR '1'='1"),
        json!("ED"),
        json!(""),
        json!(null),
        json!(0),
        json!(["ed"]),
    ];
    for kid in kids {
        all.refused(&kid.to_string(), &hs256(&with(header("HS256"), "kid", kid.clone()), &claims()));
        all.refused(
            &kid.to_string(),
            &signed(&with(header("EdDSA"), "kid", kid.clone()), &claims(), &all.eddsa),
        );
    }
    let own = SigningKey::from_pem(&SigningKey::generate(KeyKind::EdDsa), Some("ed")).unwrap();
    let jwk = own.verifying().public_jwk("ed").unwrap();
    let fields = [
        ("jwk", jwk),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
    ];
    for (name, value) in fields {
        let bad = with(header("HS256"), name, value.clone());
        all.refused(name, &hs256(&bad, &claims()));
        all.refused(name, &rs256(&with(header("RS256"), name, value.clone()), &foreign_claims(ELSEWHERE)));
        let bad = with(with(header("EdDSA"), "kid", json!("ed")), name, value);
        all.refused(name, &signed(&bad, &claims(), &own));
        all.refused(name, &signed(&bad, &claims(), &all.eddsa));
    }
}

#[test]
fn t17_fields_that_are_named_twice_and_texts_that_are_no_objects_are_refused() {
    let all = Everything::new();
    let key = SigningKey::from_secret(&secret());
    let sign = |message: &[u8]| key.sign(message);
    let (good_header, good_claims) = (header("HS256").to_string(), claims().to_string());
    let twice = |text: &str, field: &str| text.replacen('{', &format!("{{{field},"), 1);
    for field in [r#""alg":"HS256""#, r#""typ":"at+jwt""#, r#""\u0061lg":"none""#] {
        all.refused(field, &raw(&twice(&good_header, field), &good_claims, sign));
    }
    for field in ["\"exp\":99999999999", r#""sub":"x""#, r#""roles":["admin"]"#, r#""aud":"x""#] {
        all.refused(field, &raw(&good_header, &twice(&good_claims, field), sign));
    }
    all.refused(
        "unknown twice",
        &raw(&good_header, &twice(&twice(&good_claims, "\"x\":1"), "\"x\":1"), sign),
    );
    for text in ["", "[]", "null", "\"x\"", "{", "{}", "{} {}", "\u{feff}{}"] {
        all.refused(text, &raw(text, &good_claims, sign));
        all.refused(text, &raw(&good_header, text, sign));
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    all.refused("deep", &raw(&good_header, &deep, sign));
}

#[test]
fn t17_base64_has_one_form() {
    let all = Everything::new();
    // `?` and `>` many times: the two alphabets differ in them.
    let claims = with(claims(), "note", json!("???>>>???>>>"));
    let good = hs256(&header("HS256"), &claims);
    assert!(all.tokens.verify(&good, NOW_MS).is_ok());
    let [header, payload, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let join = |parts: [&str; 3]| parts.join(".");
    all.refused("padding", &join([header, payload, &format!("{signature}=")]));
    all.refused("standard alphabet", &join([header, payload, &format!("+/{}", &signature[2..])]));
    // 32 bytes leave two bits over: the last character has three more spellings.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for other in alphabet.chars().filter(|other| *other != last) {
        let changed = format!("{}{other}", &signature[..signature.len() - 1]);
        all.refused("last character of the signature", &join([header, payload, &changed]));
    }
    for spoilt in [
        format!(" {good}"),
        format!("{good} "),
        format!("{good}\n"),
        format!("{header}.{payload}\n.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}"),
        format!("{good}."),
        format!("{good}.x"),
        format!(".{good}"),
        format!("Bearer {good}"),
        String::new(),
        ".".into(),
        "..".into(),
        "é.é.é".into(),
        "x".repeat(70_000),
    ] {
        all.refused("spoilt", &spoilt);
    }
    // Signed in the wrong encoding: the signature is right, the text is not.
    let key = SigningKey::from_secret(&secret());
    for filler in 0..3 {
        let claims = with(claims.clone(), "filler", json!(" ".repeat(filler))).to_string();
        let canonical = URL_SAFE_NO_PAD.encode(&claims);
        for encoded in [URL_SAFE.encode(&claims), STANDARD_NO_PAD.encode(&claims)] {
            let message = format!("{header}.{encoded}");
            let token = format!("{message}.{}", key.sign(message.as_bytes()));
            assert_eq!(all.tokens.verify(&token, NOW_MS).is_ok(), encoded == canonical, "{encoded}");
        }
    }
    let spaced = format!("{header}.{payload} ");
    all.refused("signed space", &format!("{spaced}.{}", key.sign(spaced.as_bytes())));
    let long = with(claims, "note", json!("x".repeat(4_000)));
    all.refused("more than 4 KiB", &hs256(&super::tests::header("HS256"), &long));
}

#[test]
fn t17_claims_are_there_and_of_their_type() {
    let all = Everything::new();
    for claim in ["iss", "aud", "sub", "iat", "exp", "jti", "sid", "roles"] {
        all.refused(claim, &hs256(&header("HS256"), &without(claims(), claim)));
        all.refused(claim, &hs256(&header("HS256"), &with(claims(), claim, json!(null))));
    }
    for claim in ["iss", "aud", "sub", "iat", "exp", "jti"] {
        let foreign = without(foreign_claims(ELSEWHERE), claim);
        all.refused(claim, &rs256(&header("RS256"), &foreign));
    }
    let whole = NOW + 900;
    for (claim, value) in [
        ("exp", json!(whole.to_string())),
        ("exp", json!(whole as f64 + 0.5)),
        ("exp", json!(whole as f64)),
        ("exp", json!(-1)),
        ("exp", json!(0)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(1e300)),
        ("exp", json!(true)),
        ("exp", json!([whole])),
        ("iat", json!(NOW.to_string())),
        ("iat", json!(NOW as f64 + 0.1)),
        ("iat", json!(-NOW)),
        ("nbf", json!(NOW + 6)),
        ("nbf", json!(NOW.to_string())),
        ("nbf", json!(-1)),
        ("nbf", json!(1.5)),
        ("nbf", json!(null)),
        ("nbf", json!(u64::MAX)),
        ("aud", json!(7)),
        ("aud", json!(["tidegate"])),
        ("aud", json!([])),
        ("aud", json!("")),
        ("aud", json!("gateway")),
        ("aud", json!("Tidegate")),
        ("iss", json!(["tidegate"])),
        ("iss", json!("")),
        ("iss", json!("elsewhere")),
        ("iss", json!("TIDEGATE")),
        ("sub", json!("")),
        ("sub", json!(1)),
        ("sub", json!("somebody")),
        ("sub", json!(WALLET.to_lowercase())),
        ("sub", json!(format!("{WALLET}\n"))),
        ("jti", json!("")),
        ("jti", json!(1)),
        ("jti", json!("x".repeat(300))),
        ("sid", json!("")),
        ("sid", json!(7)),
        ("roles", json!("admin")),
        ("roles", json!([1])),
        ("roles", json!({"admin": true})),
        ("roles", json!(vec!["user"; 17])),
    ] {
        let what = format!("{claim} {value}");
        all.refused(&what, &hs256(&header("HS256"), &with(claims(), claim, value)));
    }
    let early = with(claims(), "nbf", json!(NOW + 5));
    assert!(all.tokens.verify(&hs256(&header("HS256"), &early), NOW_MS).is_ok(), "within the leeway");
    let literal = |exp: &str| {
        let text = claims().to_string().replace(&format!("\"exp\":{whole}"), &format!("\"exp\":{exp}"));
        raw(&header("HS256").to_string(), &text, |message| SigningKey::from_secret(&secret()).sign(message))
    };
    assert!(all.tokens.verify(&literal(&whole.to_string()), NOW_MS).is_ok());
    for exp in
        ["1762253100.0", "1.7622531e9", "18446744073709551616", "1e999", "-0", "NaN", "0x7fffffff", "01"]
    {
        all.refused(exp, &literal(exp));
    }
}

#[test]
fn t18_another_kind_of_token_is_no_access_token() {
    let all = Everything::new();
    for typ in ["JWT", "jwt", "refresh", "rt+jwt", "challenge", "AT+JWT", "application/at+jwt", "at+jwt ", ""]
    {
        all.refused(typ, &hs256(&with(header("HS256"), "typ", json!(typ)), &claims()));
    }
    all.refused("no typ", &hs256(&without(header("HS256"), "typ"), &claims()));
    all.refused("typ is no text", &hs256(&with(header("HS256"), "typ", json!(1)), &claims()));
    for aud in ["refresh", "tidegate/refresh", "challenge"] {
        all.refused(aud, &hs256(&header("HS256"), &with(claims(), "aud", json!(aud))));
    }
    // An opaque refresh token, and a challenge's nonce and message.
    all.refused("refresh token", &URL_SAFE_NO_PAD.encode([7; 32]));
    all.refused("nonce", "00112233445566778899aabbccddeeff");
    all.refused("message", "tidegate wants you to sign in with your Ethereum account:");
}

#[test]
fn t19_a_lifetime_is_at_most_the_configured_one() {
    let all = Everything::new();
    for (what, iat, exp) in [
        ("a second too long", NOW, NOW + 901),
        ("a hundred years", NOW, NOW + 3_155_760_000),
        ("began long ago", NOW - 86_400, NOW + 60),
        ("no time at all", NOW, NOW),
        ("backwards", NOW, NOW - 60),
        ("issued in the future", NOW + 6, NOW + 60),
        ("issued in 1970", 0, NOW + 60),
    ] {
        let times = with(with(claims(), "iat", json!(iat)), "exp", json!(exp));
        all.refused(what, &hs256(&header("HS256"), &times));
        let times = with(with(foreign_claims(ELSEWHERE), "iat", json!(iat)), "exp", json!(exp));
        all.refused(what, &rs256(&header("RS256"), &times));
    }
    let old = with(with(claims(), "iat", json!(NOW - 900)), "exp", json!(NOW - 5));
    let old = hs256(&header("HS256"), &old);
    assert_eq!(all.tokens.verify(&old, NOW_MS), Err(TokenRefused::Expired));
    let forged = format!("{}A", &old[..old.len() - 1]);
    assert_ne!(all.tokens.verify(&forged, NOW_MS), Err(TokenRefused::Expired), "a forged one is not expired");
}

#[test]
fn a_token_of_another_secret_issuer_audience_or_lifetime_is_refused() {
    let ours = tokens(SECRET);
    let others = [
        tokens("another-secret-of-at-least-32-bytes"),
        Tokens::new(&secret(), "elsewhere", "tidegate", 15),
        Tokens::new(&secret(), "tidegate", "elsewhere", 15),
        Tokens::new(&secret(), "tidegate", "tidegate", 60),
    ];
    for other in others {
        assert_eq!(ours.verify(&mint(&other), NOW_MS), Err(TokenRefused::Invalid));
    }
}

#[test]
fn t27_keys_rotate_and_a_removed_key_is_forgotten() {
    let folder = Folder::new();
    let [old, new] = ["old", "new"].map(|kid| SigningKeyFile {
        file: folder.write(kid, &SigningKey::generate(KeyKind::EdDsa)),
        kid: Some(kid.into()),
    });
    let open = |signing_keys: Vec<SigningKeyFile>| {
        Tokens::open(&AuthConfig { signing_keys, ..AuthConfig::default() }).unwrap()
    };
    let before = open(vec![old.clone()]);
    let both = open(vec![new.clone(), old.clone()]);
    let after = open(vec![new.clone()]);
    let token = mint(&before);
    assert!(both.verify(&token, NOW_MS).is_ok());
    assert_eq!(Tokens::read(&mint(&both)).unwrap().header["kid"], "new");
    assert!(after.verify(&mint(&both), NOW_MS).is_ok());
    assert_eq!(after.examine(&token, NOW_MS), Err(TokenProblem::Key));
    assert_eq!(both.verify(&token, NOW_MS + 905_000), Err(TokenRefused::Expired), "it dies at `exp`");

    let twice = AuthConfig { signing_keys: vec![new.clone(), new], ..AuthConfig::default() };
    assert_eq!(Tokens::open(&twice).unwrap_err().code, "TG-CFG-020");

    let [first, second] = [SECRET, "fedcba9876543210fedcba9876543210"].map(|text| Secret::new(text.into()));
    let rotated = AuthConfig { jwt_secret: second, previous_jwt_secret: first, ..AuthConfig::default() };
    assert!(Tokens::open(&rotated).unwrap().verify(&mint(&tokens(SECRET)), NOW_MS).is_ok());
}

/// An issuer on this machine that counts how often its keys are asked for.
struct Issuer {
    url: String,
    asked: Arc<AtomicUsize>,
    keys: Arc<Mutex<HashMap<String, Value>>>,
}

impl Issuer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?set=1", listener.local_addr().unwrap());
        let (asked, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(HashMap::new())));
        let (count, published) = (Arc::clone(&asked), Arc::clone(&keys));
        let answer = axum::routing::get(move || {
            count.fetch_add(1, Ordering::Relaxed);
            let keys: Vec<Value> = published.lock().unwrap().values().cloned().collect();
            async move { axum::Json(json!({"keys": keys})) }
        });
        let router = axum::Router::new().route("/keys", answer);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, asked, keys }
    }

    fn publish(&self, kid: &str) -> SigningKey {
        let key = SigningKey::from_pem(&SigningKey::generate(KeyKind::Es256), Some(kid)).unwrap();
        self.keys.lock().unwrap().insert(kid.into(), key.verifying().public_jwk(kid).unwrap());
        key
    }

    fn tokens(&self) -> Tokens {
        let trusted = TrustedIssuer {
            issuer: ELSEWHERE.into(),
            audience: "gateway".into(),
            jwks_url: Some(self.url.clone()),
            public_key_file: None,
            roles: vec!["user".into()],
        };
        let config =
            AuthConfig { jwt_secret: secret(), trusted_issuers: vec![trusted], ..AuthConfig::default() };
        Tokens::open(&config).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn of(kid: &str, key: &SigningKey) -> String {
    signed(&with(header("ES256"), "kid", json!(kid)), &foreign_claims(ELSEWHERE), key)
}

#[tokio::test]
async fn t27_unknown_kids_ask_an_issuer_once_a_minute() {
    let issuer = Issuer::start().await;
    let first = issuer.publish("first");
    let tokens = Arc::new(issuer.tokens());
    let good = of("first", &first);
    assert_eq!(tokens.examine(&good, NOW_MS), Err(TokenProblem::Key), "nothing is known yet");
    // A hundred at the same time wait for one answer.
    let waiting = (0..100).map(|_| tokens.fetch_missing_key(&good));
    futures_util::future::join_all(waiting).await;
    assert_eq!(issuer.asked(), 1);
    assert!(tokens.verify(&good, NOW_MS).is_ok());

    let second = issuer.publish("second");
    for flood in 0..1_000 {
        tokens.fetch_missing_key(&of(&format!("made up {flood}"), &second)).await;
    }
    tokens.fetch_missing_key(&of("second", &second)).await;
    assert_eq!(issuer.asked(), 1, "a flood asks nobody");
    assert!(tokens.verify(&of("second", &second), NOW_MS).is_err());

    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    tokens.fetch_missing_key(&of("second", &second)).await;
    assert_eq!(issuer.asked(), 2);
    assert!(tokens.verify(&of("second", &second), NOW_MS).is_ok());
    assert!(tokens.verify(&good, NOW_MS).is_ok());
    // Tokens that are not for this issuer, or are none, ask nobody.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    for token in ["", "a.b.c", &mint(&tokens), &signed(&header("ES256"), &foreign_claims(ELSEWHERE), &first)]
    {
        tokens.fetch_missing_key(token).await;
    }
    let jku = with(with(header("ES256"), "kid", json!("first")), "jku", json!(issuer.url));
    tokens.fetch_missing_key(&signed(&jku, &foreign_claims("https://evil.example"), &first)).await;
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn t27_a_key_that_an_issuer_takes_back_is_forgotten() {
    let issuer = Issuer::start().await;
    let (kept, removed) = (issuer.publish("kept"), issuer.publish("removed"));
    let tokens = issuer.tokens();
    let keep = tokio::time::timeout(Duration::from_secs(5), tokens.keep_keys_current());
    tokio::select! {
        _ = keep => panic!("it goes on"),
        () = async {
            while tokens.verify(&of("removed", &removed), NOW_MS).is_err() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    issuer.keys.lock().unwrap().remove("removed");
    assert!(tokens.verify(&of("removed", &removed), NOW_MS).is_ok(), "until it is asked again");
    let keep = tokio::time::timeout(Duration::from_secs(5), tokens.keep_keys_current());
    tokio::select! {
        _ = keep => panic!("it goes on"),
        () = async {
            while tokens.verify(&of("removed", &removed), NOW_MS).is_ok() {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    assert!(tokens.verify(&of("kept", &kept), NOW_MS).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_no_changed_token_passes(
        text in ".{0,200}",
        place in proptest::prelude::any::<proptest::sample::Index>(),
        byte in "[ -~]",
    ) {
        let tokens = tokens(SECRET);
        assert!(tokens.verify(&text, NOW_MS).is_err());
        let good = mint(&tokens);
        let place = place.index(good.len());
        let changed = format!("{}{byte}{}", &good[..place], &good[place + 1..]);
        assert_eq!(tokens.verify(&changed, NOW_MS).is_ok(), changed == good);
    }
}

#[test]
fn t83_nothing_that_is_printed_holds_a_secret_or_a_token() {
    let all = Everything::new();
    let minted = all.tokens.mint(WALLET, &[], SID, JTI, NOW_MS);
    let printed = format!("{:?} {minted:?} {:?}", all.tokens, all.eddsa);
    for hidden in [SECRET, &minted.token, &minted.token[..20]] {
        assert!(!printed.contains(hidden), "{printed}");
    }
}

/// `cargo test --release -- --ignored verifications --nocapture`
#[test]
#[ignore = "prints a speed"]
fn verifications_per_second_of_one_core() {
    let all = Everything::new();
    for (name, token) in [
        ("HS256", hs256(&header("HS256"), &claims())),
        ("EdDSA", signed(&with(header("EdDSA"), "kid", json!("ed")), &claims(), &all.eddsa)),
        ("ES256", mint(&all.tokens)),
        ("RS256", rs256(&header("RS256"), &foreign_claims(ELSEWHERE))),
    ] {
        let started = std::time::Instant::now();
        let mut count = 0_u32;
        while started.elapsed() < Duration::from_secs(1) {
            assert!(all.tokens.verify(&token, NOW_MS).is_ok());
            count += 1;
        }
        println!("{name}: {:.0} verifications/s", f64::from(count) / started.elapsed().as_secs_f64());
    }
}
