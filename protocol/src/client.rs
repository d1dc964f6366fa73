//! Messages from a client to the server.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{Fields, kind_of, parse_object};
use crate::limits::MAX_ID;
use crate::{Feed, InvalidStrategy, InvalidSymbol, Strategy, Symbol};

/// Everything that a client may say.
///
/// Read it with [`ClientMessage::parse`], which answers for what is wrong; write it with serde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// Proves who is connecting.
    Authenticate(Authenticate),
    /// Starts one or several subscriptions.
    Subscribe(Subscribe),
    /// Ends one or several subscriptions.
    Unsubscribe(Unsubscribe),
    /// Asks for what is subscribed.
    ListSubscriptions(ListSubscriptions),
    /// Asks for a `pong`.
    Ping(Ping),
}

/// Proves who is connecting; again at any time with a fresh token of the same subject.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Authenticate {
    /// Comes back in the reply; 0 to 2^53−1, 0 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<u64>,
    /// The access token: a JWT.
    pub token: String,
    /// The `session_id` of an earlier connection whose place this one takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub session: Option<String>,
    /// What to subscribe to at once; not counted as a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub subscriptions: Option<Vec<FeedRequest>>,
}

/// Starts one subscription (`symbol`, `strategy`, `since`) or several (`subscriptions`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Subscribe {
    /// Comes back in the reply; 0 to 2^53−1, 0 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<u64>,
    /// The market; not together with `subscriptions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub symbol: Option<String>,
    /// The strategy; `range_trading` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub strategy: Option<String>,
    /// The `seq` of the last signal held: every signal after it is replayed first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub since: Option<u64>,
    /// Several feeds in one message; each is accepted or rejected by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub subscriptions: Option<Vec<FeedRequest>>,
}

/// Ends one subscription, every strategy of a symbol (no `strategy`), or several (`subscriptions`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Unsubscribe {
    /// Comes back in the reply; 0 to 2^53−1, 0 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<u64>,
    /// The market; not together with `subscriptions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub symbol: Option<String>,
    /// The strategy; every strategy of the symbol when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub strategy: Option<String>,
    /// Several feeds in one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub subscriptions: Option<Vec<FeedRequest>>,
}

/// Asks for what is subscribed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct ListSubscriptions {
    /// Comes back in the reply; 0 to 2^53−1, 0 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<u64>,
}

/// Asks for a `pong`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Ping {
    /// Comes back in the reply; 0 to 2^53−1, 0 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub id: Option<u64>,
}

/// One feed that a client asks for, as text: the server says which part of it is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct FeedRequest {
    /// The market.
    pub symbol: String,
    /// The strategy; when left out `range_trading` (subscribe) or every strategy (unsubscribe).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub strategy: Option<String>,
    /// The `seq` of the last signal held: every signal after it is replayed first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, ts(optional))]
    pub since: Option<u64>,
}

impl FeedRequest {
    /// The request for `feed`, resuming after `since` where there is one.
    #[must_use]
    pub fn new(feed: Feed, since: Option<u64>) -> Self {
        Self { symbol: feed.symbol.to_string(), strategy: Some(feed.strategy.to_string()), since }
    }

    /// The symbol, if it is one.
    ///
    /// # Errors
    /// [`InvalidSymbol`] if it is not.
    pub fn parse_symbol(&self) -> Result<Symbol, InvalidSymbol> {
        self.symbol.parse()
    }

    /// The strategy, if one was named.
    ///
    /// # Errors
    /// [`InvalidStrategy`] if there is no such strategy.
    pub fn parse_strategy(&self) -> Result<Option<Strategy>, InvalidStrategy> {
        self.strategy.as_deref().map(str::parse).transpose()
    }
}

/// Why a text is not a [`ClientMessage`], for the client to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMessage {
    /// The id of the message, or 0 where it could not be read.
    pub id: u64,
    /// What was wrong and where. Repeats no value of the message: one of them may be a token.
    pub problem: String,
}

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for InvalidMessage {}

impl ClientMessage {
    /// Reads one message. Unknown fields are ignored.
    ///
    /// # Errors
    /// What was wrong with it and where, with the message's id where that could be read.
    pub fn parse(text: &str) -> Result<Self, InvalidMessage> {
        let object = parse_object(text).map_err(|problem| InvalidMessage { id: 0, problem })?;
        let fields = Fields::new(&object, String::new());
        let id = fields.integer("id", MAX_ID).map_err(|problem| InvalidMessage { id: 0, problem })?;
        Self::from_fields(id, &fields).map_err(|problem| InvalidMessage { id: id.unwrap_or(0), problem })
    }

    fn from_fields(id: Option<u64>, fields: &Fields<'_>) -> Result<Self, String> {
        match fields.required_string("type")?.as_str() {
            "authenticate" => Ok(Self::Authenticate(Authenticate {
                id,
                token: fields.required_string("token")?,
                session: fields.string("session")?,
                subscriptions: feed_requests(fields)?,
            })),
            "subscribe" => {
                let (symbol, strategy, subscriptions) = one_or_several(fields)?;
                let since = fields.integer("since", MAX_ID)?;
                Ok(Self::Subscribe(Subscribe { id, symbol, strategy, since, subscriptions }))
            }
            "unsubscribe" => {
                let (symbol, strategy, subscriptions) = one_or_several(fields)?;
                Ok(Self::Unsubscribe(Unsubscribe { id, symbol, strategy, subscriptions }))
            }
            "list_subscriptions" => Ok(Self::ListSubscriptions(ListSubscriptions { id })),
            "ping" => Ok(Self::Ping(Ping { id })),
            other => Err(format!(
                "unknown type `{}`: use authenticate, subscribe, unsubscribe, list_subscriptions or ping",
                shortened(other)
            )),
        }
    }

    /// The message's id; 0 when it has none.
    #[must_use]
    pub fn id(&self) -> u64 {
        match self {
            Self::Authenticate(message) => message.id,
            Self::Subscribe(message) => message.id,
            Self::Unsubscribe(message) => message.id,
            Self::ListSubscriptions(message) => message.id,
            Self::Ping(message) => message.id,
        }
        .unwrap_or(0)
    }
}

impl Subscribe {
    /// What is asked for, whichever form the message has.
    #[must_use]
    pub fn requests(&self) -> Vec<FeedRequest> {
        requests(self.subscriptions.as_ref(), self.symbol.as_ref(), self.strategy.as_ref(), self.since)
    }
}

impl Unsubscribe {
    /// What is to end, whichever form the message has.
    #[must_use]
    pub fn requests(&self) -> Vec<FeedRequest> {
        requests(self.subscriptions.as_ref(), self.symbol.as_ref(), self.strategy.as_ref(), None)
    }
}

/// Hides the token: a message may end up in a log.
impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticate")
            .field("id", &self.id)
            .field("token", &"…")
            .field("session", &self.session)
            .field("subscriptions", &self.subscriptions)
            .finish()
    }
}

/// At most this many characters of a client's text come back in an error.
const ECHO_MAX: usize = 32;

/// A client's text made safe for an error message: short, and with control characters escaped.
#[must_use]
pub fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(ECHO_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(ECHO_MAX).is_some() {
        short.push('…');
    }
    short
}

fn requests(
    several: Option<&Vec<FeedRequest>>,
    symbol: Option<&String>,
    strategy: Option<&String>,
    since: Option<u64>,
) -> Vec<FeedRequest> {
    match (several, symbol) {
        (Some(several), _) => several.clone(),
        (None, Some(symbol)) => {
            vec![FeedRequest { symbol: symbol.clone(), strategy: strategy.cloned(), since }]
        }
        (None, None) => Vec::new(),
    }
}

type OneOrSeveral = (Option<String>, Option<String>, Option<Vec<FeedRequest>>);

/// The two forms of subscribe and unsubscribe: `symbol` with its companions, or `subscriptions`.
fn one_or_several(fields: &Fields<'_>) -> Result<OneOrSeveral, String> {
    match (fields.string("symbol")?, feed_requests(fields)?) {
        (Some(_), Some(_)) => Err("`symbol` and `subscriptions` exclude each other: send one of them".into()),
        (None, None) => Err("missing field `symbol` (or `subscriptions` for several)".into()),
        (Some(symbol), None) => Ok((Some(symbol), fields.string("strategy")?, None)),
        (None, Some(several)) => Ok((None, None, Some(several))),
    }
}

fn feed_requests(fields: &Fields<'_>) -> Result<Option<Vec<FeedRequest>>, String> {
    let Some(items) = fields.array("subscriptions")? else { return Ok(None) };
    items
        .iter()
        .enumerate()
        .map(|(index, item)| feed_request(index, item))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn feed_request(index: usize, item: &Value) -> Result<FeedRequest, String> {
    let Value::Object(object) = item else {
        return Err(format!("`subscriptions[{index}]` must be an object, not {}", kind_of(item)));
    };
    let fields = Fields::new(object, format!("subscriptions[{index}]."));
    Ok(FeedRequest {
        symbol: fields.required_string("symbol")?,
        strategy: fields.string("strategy")?,
        since: fields.integer("since", MAX_ID)?,
    })
}
