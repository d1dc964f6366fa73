// Written by `cargo xtask bindings` from the protocol crate. Do not edit.

/**
 * A strategy that computes signals from a symbol's market data.
 */
export type Strategy = "range_trading" | "momentum" | "scalp";

/**
 * What a signal advises.
 */
export type Side = "LONG" | "SHORT" | "NEUTRAL";

/**
 * How much speaks for a signal.
 */
export type Confidence = "high" | "medium" | "low";

/**
 * Direction of a price over some time.
 */
export type Trend = "UP" | "DOWN" | "NEUTRAL";

/**
 * Whether the 1-hour and 4-hour trends agree.
 */
export type TrendAlignment = "ALIGNED" | "CONFLICTED" | "NEUTRAL";

/**
 * The kind of order that an entry suggests.
 */
export type OrderType = "LIMIT";

/**
 * What a key level is.
 */
export type KeyLevelKind = "support" | "resistance" | "poc" | "gap";

/**
 * `code` of an `error` or `auth_error`: what programs match on.
 */
export type ErrorCode = "unauthenticated" | "invalid_token" | "token_expired" | "auth_timeout" | "identity_mismatch" | "forbidden" | "connection_limit" | "rate_limited" | "subscription_limit" | "unknown_symbol" | "unknown_strategy" | "not_subscribed" | "invalid_message" | "message_too_large" | "internal";

/**
 * What a server allows one client. Announced in `connected`.
 */
export interface Limits {
  /**
   * Client messages in any 60 seconds.
   */
  messages_per_minute: number;
  /**
   * Feeds followed at the same time.
   */
  subscriptions_per_connection: number;
  /**
   * Connections of one user at the same time.
   */
  connections_per_user: number;
  /**
   * Largest client message, in bytes.
   */
  max_message_bytes: number;
}

/**
 * One feed that a client asks for, as text: the server says which part of it is unknown.
 */
export interface FeedRequest {
  /**
   * The market.
   */
  symbol: string;
  /**
   * The strategy; when left out `range_trading` (subscribe) or every strategy (unsubscribe).
   */
  strategy?: string;
  /**
   * The `seq` of the last signal held: every signal after it is replayed first.
   */
  since?: number;
}

/**
 * Proves who is connecting; again at any time with a fresh token of the same subject.
 */
export interface Authenticate {
  /** Tells this message from the others. */
  type: "authenticate";
  /**
   * Comes back in the reply; 0 to 2^53−1, 0 when left out.
   */
  id?: number;
  /**
   * The access token: a JWT.
   */
  token: string;
  /**
   * The `session_id` of an earlier connection whose place this one takes.
   */
  session?: string;
  /**
   * What to subscribe to at once; not counted as a message.
   */
  subscriptions?: Array<FeedRequest>;
}

/**
 * Starts one subscription (`symbol`, `strategy`, `since`) or several (`subscriptions`).
 */
export interface Subscribe {
  /** Tells this message from the others. */
  type: "subscribe";
  /**
   * Comes back in the reply; 0 to 2^53−1, 0 when left out.
   */
  id?: number;
  /**
   * The market; not together with `subscriptions`.
   */
  symbol?: string;
  /**
   * The strategy; `range_trading` when left out.
   */
  strategy?: string;
  /**
   * The `seq` of the last signal held: every signal after it is replayed first.
   */
  since?: number;
  /**
   * Several feeds in one message; each is accepted or rejected by itself.
   */
  subscriptions?: Array<FeedRequest>;
}

/**
 * Ends one subscription, every strategy of a symbol (no `strategy`), or several (`subscriptions`).
 */
export interface Unsubscribe {
  /** Tells this message from the others. */
  type: "unsubscribe";
  /**
   * Comes back in the reply; 0 to 2^53−1, 0 when left out.
   */
  id?: number;
  /**
   * The market; not together with `subscriptions`.
   */
  symbol?: string;
  /**
   * The strategy; every strategy of the symbol when left out.
   */
  strategy?: string;
  /**
   * Several feeds in one message.
   */
  subscriptions?: Array<FeedRequest>;
}

/**
 * Asks for what is subscribed.
 */
export interface ListSubscriptions {
  /** Tells this message from the others. */
  type: "list_subscriptions";
  /**
   * Comes back in the reply; 0 to 2^53−1, 0 when left out.
   */
  id?: number;
}

/**
 * Asks for a `pong`.
 */
export interface Ping {
  /** Tells this message from the others. */
  type: "ping";
  /**
   * Comes back in the reply; 0 to 2^53−1, 0 when left out.
   */
  id?: number;
}

/** Everything that a client may say. */
export type ClientMessage =
  | Authenticate
  | Subscribe
  | Unsubscribe
  | ListSubscriptions
  | Ping;

/**
 * The connection is authenticated; sent exactly once.
 */
export interface Connected {
  /** Tells this message from the others. */
  type: "connected";
  /**
   * The id of the `authenticate` that led here; 0 when the token came with the handshake.
   */
  id: number;
  /**
   * Who is connected, and under which rules.
   */
  payload: ConnectedPayload;
}

/**
 * Who is connected, and under which rules.
 */
export interface ConnectedPayload {
  /**
   * Names this connection; a later one may take its place with it.
   */
  session_id: string;
  /**
   * The token's subject.
   */
  user_id: string;
  /**
   * The wallet that signed in, EIP-55.
   */
  wallet_address: string;
  /**
   * What the user may do.
   */
  roles: Array<string>;
  /**
   * When the token expires, ISO 8601.
   */
  expires_at: string;
  /**
   * The same, in milliseconds from now: independent of the client's clock.
   */
  expires_in_ms: number;
  /**
   * The server's time, ISO 8601.
   */
  server_time: string;
  /**
   * A v1 client hears something at least this often, in seconds.
   */
  heartbeat_seconds: number;
  /**
   * What this client may do.
   */
  limits: Limits;
}

/**
 * The reply to `authenticate`.
 */
export interface Authenticated {
  /** Tells this message from the others. */
  type: "authenticated";
  /**
   * The id of the `authenticate`.
   */
  id: number;
  /**
   * Whose token it was, and how long it lasts.
   */
  payload: AuthenticatedPayload;
}

/**
 * Whose token it was, and how long it lasts.
 */
export interface AuthenticatedPayload {
  /**
   * The wallet that signed in, EIP-55.
   */
  wallet_address: string;
  /**
   * When the token expires, ISO 8601.
   */
  expires_at: string;
  /**
   * The same, in milliseconds from now.
   */
  expires_in_ms: number;
}

/**
 * The token was refused.
 */
export interface AuthError {
  /** Tells this message from the others. */
  type: "auth_error";
  /**
   * The id of the `authenticate`; 0 when the token came with the handshake.
   */
  id: number;
  /**
   * Why.
   */
  payload: AuthErrorPayload;
}

/**
 * Why a token was refused.
 */
export interface AuthErrorPayload {
  /**
   * For people.
   */
  error: string;
  /**
   * For programs.
   */
  code: ErrorCode;
}

/**
 * The reply to `subscribe`.
 */
export interface Subscribed {
  /** Tells this message from the others. */
  type: "subscribed";
  /**
   * The id of the `subscribe`, or of the `authenticate` that carried subscriptions.
   */
  id: number;
  /**
   * The market; left out in the reply to several.
   */
  symbol?: string;
  /**
   * The strategy; left out in the reply to several.
   */
  strategy?: Strategy;
  /**
   * What was asked for and got, and the whole state after it.
   */
  payload: SubscribedPayload;
}

/**
 * What was asked for and got, and the whole state after it.
 */
export interface SubscribedPayload {
  /**
   * Every symbol that the connection follows now.
   */
  subscribed: Array<string>;
  /**
   * The most recently subscribed strategy of each symbol.
   */
  strategies: Record<string, Strategy>;
  /**
   * What this message asked for and got.
   */
  subscriptions: Array<SubscriptionGranted>;
  /**
   * What this message asked for and did not get.
   */
  rejected: Array<RejectedSubscription>;
  /**
   * The outcome in words.
   */
  message: string;
}

/**
 * A subscription that was granted.
 */
export interface SubscriptionGranted {
  /**
   * The market.
   */
  symbol: string;
  /**
   * The strategy.
   */
  strategy: Strategy;
  /**
   * Wall-clock time between two evaluations, in milliseconds.
   */
  interval_ms: number;
  /**
   * Whether everything after `since` follows. False: forget the position and take what comes.
   */
  recovered: boolean;
}

/**
 * A subscription that was not granted.
 */
export interface RejectedSubscription {
  /**
   * The symbol as asked for.
   */
  symbol: string;
  /**
   * The strategy as asked for.
   */
  strategy?: string;
  /**
   * For people.
   */
  error: string;
  /**
   * For programs.
   */
  code: ErrorCode;
}

/**
 * The reply to `unsubscribe`.
 */
export interface Unsubscribed {
  /** Tells this message from the others. */
  type: "unsubscribed";
  /**
   * The id of the `unsubscribe`.
   */
  id: number;
  /**
   * The market; left out in the reply to several.
   */
  symbol?: string;
  /**
   * The strategy; left out in the reply to several, or to every strategy of a symbol.
   */
  strategy?: Strategy;
  /**
   * The whole state after it.
   */
  payload: SubscriptionList;
}

/**
 * The reply to `list_subscriptions`.
 */
export interface Subscriptions {
  /** Tells this message from the others. */
  type: "subscriptions";
  /**
   * The id of the `list_subscriptions`.
   */
  id: number;
  /**
   * The whole state.
   */
  payload: SubscriptionList;
}

/**
 * Everything that a connection follows.
 */
export interface SubscriptionList {
  /**
   * Every symbol.
   */
  subscribed: Array<string>;
  /**
   * The most recently subscribed strategy of each symbol.
   */
  strategies: Record<string, Strategy>;
  /**
   * Every subscription.
   */
  subscriptions: Array<SubscriptionRef>;
  /**
   * What the message asked for and did not get; left out when empty.
   */
  rejected?: Array<RejectedSubscription>;
}

/**
 * One subscription.
 */
export interface SubscriptionRef {
  /**
   * The market.
   */
  symbol: string;
  /**
   * The strategy.
   */
  strategy: Strategy;
}

/**
 * The reply to `ping`.
 */
export interface Pong {
  /** Tells this message from the others. */
  type: "pong";
  /**
   * The id of the `ping`.
   */
  id: number;
  /**
   * The server's time, ISO 8601.
   */
  server_time: string;
}

/**
 * A message or the connection was refused.
 */
export interface ErrorMessage {
  /** Tells this message from the others. */
  type: "error";
  /**
   * The id of the message that was refused; 0 when it was none in particular.
   */
  id: number;
  /**
   * Why.
   */
  payload: ErrorPayload;
}

/**
 * Why a message or the connection was refused.
 */
export interface ErrorPayload {
  /**
   * For people.
   */
  error: string;
  /**
   * For programs.
   */
  code: ErrorCode;
  /**
   * When the same message would be accepted, in milliseconds from now; with `rate_limited`.
   */
  retry_after_ms?: number;
}

/**
 * Nothing else was sent for a while, and all is well. To v1 clients: a browser cannot see ping frames.
 */
export interface Heartbeat {
  /** Tells this message from the others. */
  type: "heartbeat";
  /**
   * The time.
   */
  payload: HeartbeatPayload;
}

/**
 * What a heartbeat says.
 */
export interface HeartbeatPayload {
  /**
   * The server's time, ISO 8601.
   */
  server_time: string;
}

/**
 * The token expires soon: send `authenticate` with a fresh one. To v1 clients, 60 s before.
 */
export interface TokenExpiring {
  /** Tells this message from the others. */
  type: "token_expiring";
  /**
   * When.
   */
  payload: TokenExpiringPayload;
}

/**
 * When a token expires.
 */
export interface TokenExpiringPayload {
  /**
   * When the token expires, ISO 8601.
   */
  expires_at: string;
}

/**
 * The server is about to close the connection for a restart or a drain.
 */
export interface GoingAway {
  /** Tells this message from the others. */
  type: "going_away";
  /**
   * Why, and when to come back.
   */
  payload: GoingAwayPayload;
}

/**
 * Why the server leaves, and when to come back.
 */
export interface GoingAwayPayload {
  /**
   * For people.
   */
  reason: string;
  /**
   * When to reconnect, in milliseconds; differs per connection so that clients come back spread out.
   */
  reconnect_after_ms: number;
}

/**
 * A `scalp` signal, sent every 30 seconds, also when NEUTRAL.
 */
export interface ScalpMessage {
  /** Tells this message from the others. */
  type: "scalp_indicator";
  /**
   * The market.
   */
  symbol: string;
  /**
   * Always `scalp`.
   */
  strategy: Strategy;
  /**
   * The evaluation instant in Unix milliseconds; strictly increasing per feed.
   */
  seq: number;
  /**
   * The `seq` of the signal before this one on the feed; 0 for the first.
   */
  prev: number;
  /**
   * The signal.
   */
  data: ScalpIndicator;
}

/**
 * What the `scalp` strategy says at one instant.
 */
export interface ScalpIndicator {
  /**
   * The market.
   */
  symbol: string;
  /**
   * The evaluation instant, whole seconds.
   */
  timestamp: string;
  /**
   * Price of the last trade.
   */
  current_price: number;
  /**
   * EMA(5) of one-minute closes, the running minute included.
   */
  ema_1min: number;
  /**
   * What to do.
   */
  side: Side;
  /**
   * Where to enter; 0 if NEUTRAL.
   */
  limit_price: number;
  /**
   * Where to take the profit; 0 if NEUTRAL.
   */
  tp_price: number;
  /**
   * Where to stop the loss; 0 if NEUTRAL.
   */
  sl_price: number;
  /**
   * Distance of the target from the current price, in percent.
   */
  tp_percent: number;
  /**
   * Distance of the stop from the current price, in percent.
   */
  sl_percent: number;
  /**
   * How much speaks for it.
   */
  confidence: Confidence;
  /**
   * Why, in words.
   */
  reasoning: string;
  /**
   * How long such a position is expected to be held, in minutes.
   */
  expected_hold_minutes: number;
  /**
   * Highest price of the last five minutes.
   */
  range_high_5min: number;
  /**
   * Lowest price of the last five minutes.
   */
  range_low_5min: number;
  /**
   * Where the price stands in that range: 0 at the low, 1 at the high.
   */
  position_in_range: number;
}

/**
 * A `momentum` signal, sent every minute, also when NEUTRAL.
 */
export interface MomentumMessage {
  /** Tells this message from the others. */
  type: "momentum_indicator";
  /**
   * The market.
   */
  symbol: string;
  /**
   * Always `momentum`.
   */
  strategy: Strategy;
  /**
   * The evaluation instant in Unix milliseconds; strictly increasing per feed.
   */
  seq: number;
  /**
   * The `seq` of the signal before this one on the feed; 0 for the first.
   */
  prev: number;
  /**
   * The signal.
   */
  data: MomentumIndicator;
}

/**
 * What the `momentum` strategy says at one instant.
 */
export interface MomentumIndicator {
  /**
   * The market.
   */
  symbol: string;
  /**
   * The evaluation instant, whole seconds.
   */
  timestamp: string;
  /**
   * Price of the last trade.
   */
  current_price: number;
  /**
   * Direction over 60 minutes.
   */
  trend_1h: Trend;
  /**
   * Direction over 240 minutes.
   */
  trend_4h: Trend;
  /**
   * Whether the two agree.
   */
  trend_alignment: TrendAlignment;
  /**
   * Mean of the absolute changes over 60 and 240 minutes, in percent.
   */
  trend_strength: number;
  /**
   * Histogram of MACD(12, 26, 9) on one-minute closes.
   */
  macd: number;
  /**
   * Wilder's RSI(14) on one-minute closes, 0 to 100.
   */
  rsi: number;
  /**
   * What to do.
   */
  side: Side;
  /**
   * Where to enter; 0 if NEUTRAL.
   */
  limit_price: number;
  /**
   * Where to take the profit; 0 if NEUTRAL.
   */
  tp_price: number;
  /**
   * Where to stop the loss; 0 if NEUTRAL.
   */
  sl_price: number;
  /**
   * Distance of the target from the current price, in percent.
   */
  tp_percent: number;
  /**
   * Distance of the stop from the current price, in percent.
   */
  sl_percent: number;
  /**
   * How much speaks for it.
   */
  confidence: Confidence;
  /**
   * Number of the seven layers that speak for it.
   */
  confluence_score: number;
  /**
   * Why, in words.
   */
  reasoning: string;
  /**
   * How long such a position is expected to be held, in minutes.
   */
  expected_hold_minutes: number;
}

/**
 * A `range_trading` signal: sent every minute while LONG or SHORT, and once when it turns NEUTRAL.
 */
export interface RangeTradingMessage {
  /** Tells this message from the others. */
  type: "summary";
  /**
   * The market.
   */
  symbol: string;
  /**
   * Always `range_trading`.
   */
  strategy: Strategy;
  /**
   * The evaluation instant in Unix milliseconds; strictly increasing per feed.
   */
  seq: number;
  /**
   * The `seq` of the signal before this one on the feed; 0 for the first.
   */
  prev: number;
  /**
   * The signal.
   */
  payload: RangePayload;
}

/**
 * What the `range_trading` strategy says at one instant.
 */
export interface RangePayload {
  /**
   * What to do and why.
   */
  summary: RangeSummary;
  /**
   * The evaluation instant, whole seconds.
   */
  timestamp: string;
  /**
   * The market.
   */
  symbol: string;
  /**
   * The range of the last 60 minutes.
   */
  range_1h: RangeWindow;
  /**
   * The range of the last 240 minutes.
   */
  range_4h: RangeWindow;
  /**
   * The range of the last 1,440 minutes.
   */
  range_24h: RangeWindow;
  /**
   * Where volume was traded; only in an entry zone.
   */
  volume_profile?: VolumeProfile;
  /**
   * Levels that price may turn at, strongest first; only in an entry zone.
   */
  key_levels?: Array<KeyLevel>;
  /**
   * Where to take the profit; only with LONG or SHORT.
   */
  tp_price?: number;
  /**
   * Where to stop the loss; only with LONG or SHORT.
   */
  sl_price?: number;
  /**
   * Profit at the target over loss at the stop; only with LONG or SHORT.
   */
  risk_reward?: number;
  /**
   * Number of the six layers that speak for it; only in an entry zone.
   */
  confluence_score?: number;
  /**
   * The 24-hour range once more, with the current price.
   */
  range_data: RangeData;
}

/**
 * The short form of a `range_trading` signal.
 */
export interface RangeSummary {
  /**
   * The order that the signal suggests.
   */
  entry: Entry;
  /**
   * How much speaks for it.
   */
  severity: Confidence;
  /**
   * Whether the side differs from that of the evaluation before.
   */
  sentiment_change: boolean;
}

/**
 * An order that a signal suggests.
 */
export interface Entry {
  /**
   * Where to enter, as text; `"0"` if NEUTRAL.
   */
  price: string;
  /**
   * What to do.
   */
  side: Side;
  /**
   * The kind of order.
   */
  order_type: OrderType;
  /**
   * How far from the price an entry may lie, in percent; 0 if NEUTRAL.
   */
  tolerance_percent: number;
  /**
   * Why, in words.
   */
  reasoning: string;
}

/**
 * High and low over some time, and where the price stands between them.
 */
export interface RangeWindow {
  /**
   * Highest price.
   */
  high: number;
  /**
   * Lowest price.
   */
  low: number;
  /**
   * High minus low.
   */
  size: number;
  /**
   * Size in percent of the low.
   */
  size_percent: number;
  /**
   * Where the price stands: 0 at the low, 1 at the high.
   */
  position_in_range: number;
}

/**
 * Where volume was traded during the last 24 hours.
 */
export interface VolumeProfile {
  /**
   * Point of control: the price with the most volume.
   */
  poc: number;
  /**
   * Upper edge of the area that holds 70 % of the volume.
   */
  value_area_high: number;
  /**
   * Lower edge of that area.
   */
  value_area_low: number;
  /**
   * Prices with much volume, ascending.
   */
  high_volume_nodes: Array<number>;
  /**
   * Prices with little volume, ascending.
   */
  low_volume_nodes: Array<number>;
}

/**
 * A price at which the market may turn.
 */
export interface KeyLevel {
  /**
   * The price.
   */
  price: number;
  /**
   * What it is to the current price.
   */
  type: KeyLevelKind;
  /**
   * From 1 (weak) to 5 (strong).
   */
  strength: number;
  /**
   * Distance from the current price, in percent of it; negative below.
   */
  distance: number;
  /**
   * Where the level comes from, for example `value_area_low`.
   */
  source: string;
}

/**
 * The 24-hour range with the current price.
 */
export interface RangeData {
  /**
   * Highest price of 24 hours.
   */
  daily_high: number;
  /**
   * Lowest price of 24 hours.
   */
  daily_low: number;
  /**
   * High minus low.
   */
  range_size: number;
  /**
   * Where the price stands: 0 at the low, 1 at the high.
   */
  position_in_range: number;
  /**
   * Price of the last trade.
   */
  current_price: number;
}

/** A signal of any strategy. */
export type SignalMessage =
  | ScalpMessage
  | MomentumMessage
  | RangeTradingMessage;

/** Everything that the server may say. */
export type ServerMessage =
  | Connected
  | Authenticated
  | AuthError
  | Subscribed
  | Unsubscribed
  | Subscriptions
  | Pong
  | ErrorMessage
  | Heartbeat
  | TokenExpiring
  | GoingAway
  | ScalpMessage
  | MomentumMessage
  | RangeTradingMessage;
