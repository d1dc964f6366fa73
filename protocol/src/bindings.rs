//! Writes the TypeScript side of the protocol and fails when the committed files differ from it.
//!
//! `TIDEGATE_WRITE_BINDINGS=1` (set by `cargo xtask bindings`) writes the files instead of comparing. The
//! unions are put together here because an enum of ts-rs would give intersections without doc comments.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ts_rs::{Config, TS};

use crate::samples::{client_samples, server_samples};
use crate::*;

const HEADER: &str = "// Written by `cargo xtask bindings` from the protocol crate. Do not edit.\n";

#[test]
fn the_committed_typescript_is_what_the_protocol_crate_says() {
    check("protocol.ts", &protocol_ts());
}

#[test]
fn the_committed_fixtures_hold_one_message_of_every_variant() {
    check("fixtures.ts", &fixtures_ts());
}

fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../npm/src/generated").join(name);
    if std::env::var_os("TIDEGATE_WRITE_BINDINGS").is_some() {
        fs::create_dir_all(path.parent().expect("a file has a folder")).expect("the folder can be made");
        fs::write(&path, expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "npm/src/generated/{name} is out of date: run `cargo xtask bindings`");
}

fn protocol_ts() -> String {
    let mut out = Emitter { config: Config::new().with_large_int("number"), text: HEADER.into() };
    out.alias::<Strategy>();
    out.alias::<Side>();
    out.alias::<Confidence>();
    out.alias::<Trend>();
    out.alias::<TrendAlignment>();
    out.alias::<OrderType>();
    out.alias::<KeyLevelKind>();
    out.alias::<ErrorCode>();
    out.interface::<Limits>();

    out.interface::<FeedRequest>();
    out.message::<Authenticate>("authenticate");
    out.message::<Subscribe>("subscribe");
    out.message::<Unsubscribe>("unsubscribe");
    out.message::<ListSubscriptions>("list_subscriptions");
    out.message::<Ping>("ping");
    out.union(
        "ClientMessage",
        "Everything that a client may say.",
        &["Authenticate", "Subscribe", "Unsubscribe", "ListSubscriptions", "Ping"],
    );

    out.message::<Connected>("connected");
    out.interface::<ConnectedPayload>();
    out.message::<Authenticated>("authenticated");
    out.interface::<AuthenticatedPayload>();
    out.message::<AuthError>("auth_error");
    out.interface::<AuthErrorPayload>();
    out.message::<Subscribed>("subscribed");
    out.interface::<SubscribedPayload>();
    out.interface::<SubscriptionGranted>();
    out.interface::<RejectedSubscription>();
    out.message::<Unsubscribed>("unsubscribed");
    out.message::<Subscriptions>("subscriptions");
    out.interface::<SubscriptionList>();
    out.interface::<SubscriptionRef>();
    out.message::<Pong>("pong");
    out.message::<ErrorMessage>("error");
    out.interface::<ErrorPayload>();
    out.message::<Heartbeat>("heartbeat");
    out.interface::<HeartbeatPayload>();
    out.message::<TokenExpiring>("token_expiring");
    out.interface::<TokenExpiringPayload>();
    out.message::<GoingAway>("going_away");
    out.interface::<GoingAwayPayload>();

    out.message::<ScalpMessage>("scalp_indicator");
    out.interface::<ScalpIndicator>();
    out.message::<MomentumMessage>("momentum_indicator");
    out.interface::<MomentumIndicator>();
    out.message::<RangeTradingMessage>("summary");
    out.interface::<RangePayload>();
    out.interface::<RangeSummary>();
    out.interface::<Entry>();
    out.interface::<RangeWindow>();
    out.interface::<VolumeProfile>();
    out.interface::<KeyLevel>();
    out.interface::<RangeData>();
    let signals = ["ScalpMessage", "MomentumMessage", "RangeTradingMessage"];
    out.union("SignalMessage", "A signal of any strategy.", &signals);
    let replies = [
        "Connected",
        "Authenticated",
        "AuthError",
        "Subscribed",
        "Unsubscribed",
        "Subscriptions",
        "Pong",
        "ErrorMessage",
        "Heartbeat",
        "TokenExpiring",
        "GoingAway",
    ];
    out.union("ServerMessage", "Everything that the server may say.", &[&replies[..], &signals].concat());
    out.text
}

fn fixtures_ts() -> String {
    let mut text = String::from(HEADER);
    text.push_str("// The compiler holds the types against real messages: one of every variant.\n\n");
    text.push_str("import type { ClientMessage, ServerMessage } from './protocol.js';\n\n");
    text.push_str("/** One message of every variant that a client may send. */\n");
    let client: Vec<_> =
        client_samples().iter().map(|message| serde_json::to_value(message).expect("serializes")).collect();
    writeln!(text, "export const clientFixtures = {} satisfies ClientMessage[];\n", pretty(&client))
        .expect("a string takes all");
    text.push_str("/** One message of every variant that a server may send. */\n");
    let server: Vec<_> =
        server_samples().iter().map(|message| serde_json::to_value(message).expect("serializes")).collect();
    writeln!(text, "export const serverFixtures = {} satisfies ServerMessage[];", pretty(&server))
        .expect("a string takes all");
    text
}

fn pretty(values: &[serde_json::Value]) -> String {
    serde_json::to_string_pretty(values).expect("a value is JSON")
}

struct Emitter {
    config: Config,
    text: String,
}

impl Emitter {
    /// A union of literals: `export type Side = "LONG" | …`.
    fn alias<T: TS>(&mut self) {
        let declaration = T::decl(&self.config);
        self.docs::<T>();
        writeln!(self.text, "export {declaration}").expect("a string takes all");
    }

    /// A documented interface.
    fn interface<T: TS>(&mut self) {
        self.body::<T>(None);
    }

    /// The same, with the tag that tells messages apart.
    fn message<T: TS>(&mut self, tag: &str) {
        self.body::<T>(Some(tag));
    }

    fn union(&mut self, name: &str, docs: &str, members: &[&str]) {
        let members = members.join("\n  | ");
        write!(self.text, "\n/** {docs} */\nexport type {name} =\n  | {members};\n")
            .expect("a string takes all");
    }

    fn docs<T: TS>(&mut self) {
        self.text.push('\n');
        self.text.push_str(T::docs().unwrap_or_default().trim_end());
        self.text.push('\n');
    }

    fn body<T: TS>(&mut self, tag: Option<&str>) {
        let name = T::name(&self.config);
        let fields = T::inline(&self.config);
        let fields = fields.trim().trim_start_matches('{').trim_end_matches('}').trim();
        self.docs::<T>();
        writeln!(self.text, "export interface {name} {{").expect("a string takes all");
        if let Some(tag) = tag {
            writeln!(self.text, "  /** Tells this message from the others. */\n  type: \"{tag}\";")
                .expect("a string takes all");
        }
        for line in fields.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.line(line);
        }
        self.text.push_str("}\n");
    }

    /// One line of a field list: a part of a doc comment, or a field that ends with a comma.
    fn line(&mut self, line: &str) {
        let indent = if line.starts_with('*') { "   " } else { "  " };
        let line = match line.strip_suffix(',') {
            Some(field) if !line.starts_with('*') => format!("{field};"),
            _ => line.to_owned(),
        };
        writeln!(self.text, "{indent}{line}").expect("a string takes all");
    }
}
