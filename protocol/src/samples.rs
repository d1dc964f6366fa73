//! One message of every variant, for the round-trip tests and the TypeScript fixtures.

use crate::*;

pub(crate) fn client_samples() -> Vec<ClientMessage> {
    let request = FeedRequest {
        symbol: "BTCUSDT".into(),
        strategy: Some("scalp".into()),
        since: Some(1_762_176_570_000),
    };
    let bare = FeedRequest { symbol: "ETHUSDT".into(), strategy: None, since: None };
    vec![
        ClientMessage::Authenticate(Authenticate {
            id: Some(1),
            token: "header.claims.signature".into(),
            session: Some("0193-a".into()),
            subscriptions: Some(vec![request.clone()]),
        }),
        ClientMessage::Subscribe(Subscribe {
            id: Some(2),
            symbol: Some("BTCUSDT".into()),
            strategy: Some("momentum".into()),
            since: Some(0),
            subscriptions: None,
        }),
        ClientMessage::Subscribe(Subscribe {
            id: Some(MAX_ID),
            symbol: None,
            strategy: None,
            since: None,
            subscriptions: Some(vec![request, bare.clone()]),
        }),
        ClientMessage::Unsubscribe(Unsubscribe {
            id: None,
            symbol: None,
            strategy: None,
            subscriptions: Some(vec![bare]),
        }),
        ClientMessage::ListSubscriptions(ListSubscriptions { id: Some(4) }),
        ClientMessage::Ping(Ping { id: None }),
    ]
}

pub(crate) fn server_samples() -> Vec<ServerMessage> {
    let mut samples = vec![
        ServerMessage::Connected(Connected { id: 1, payload: connected() }),
        ServerMessage::Authenticated(Authenticated {
            id: 1,
            payload: AuthenticatedPayload {
                wallet_address: WALLET.into(),
                expires_at: "2025-11-04T10:45:00Z".into(),
                expires_in_ms: 900_000,
            },
        }),
        ServerMessage::AuthError(AuthError {
            id: 1,
            payload: AuthErrorPayload {
                error: "Invalid authentication token".into(),
                code: ErrorCode::InvalidToken,
            },
        }),
        ServerMessage::Subscribed(Subscribed {
            id: 2,
            symbol: Some(symbol()),
            strategy: Some(Strategy::Scalp),
            payload: subscribed(),
        }),
        ServerMessage::Unsubscribed(Unsubscribed {
            id: 3,
            symbol: Some(symbol()),
            strategy: None,
            payload: SubscriptionList { rejected: vec![rejected()], ..SubscriptionList::default() },
        }),
        ServerMessage::Subscriptions(Subscriptions { id: 4, payload: subscription_list() }),
        ServerMessage::Pong(Pong { id: 5, server_time: TIME.into() }),
        ServerMessage::Error(ErrorMessage {
            id: 6,
            payload: ErrorPayload {
                error: "Message rate limit exceeded: maximum 30 messages per minute".into(),
                code: ErrorCode::RateLimited,
                retry_after_ms: Some(1_875),
            },
        }),
        ServerMessage::Heartbeat(Heartbeat { payload: HeartbeatPayload { server_time: TIME.into() } }),
        ServerMessage::TokenExpiring(TokenExpiring {
            payload: TokenExpiringPayload { expires_at: "2025-11-04T10:45:00Z".into() },
        }),
        ServerMessage::GoingAway(GoingAway {
            payload: GoingAwayPayload { reason: "Server restarting".into(), reconnect_after_ms: 1_200 },
        }),
    ];
    samples.extend(signals());
    samples
}

const WALLET: &str = "0x742d35Cc6634C0532925a3b844Bc454e4438f44e";
const TIME: &str = "2025-11-04T10:30:00.123Z";

fn symbol() -> Symbol {
    "BTCUSDT".parse().expect("a symbol")
}

fn connected() -> ConnectedPayload {
    ConnectedPayload {
        session_id: "0193-b".into(),
        user_id: WALLET.into(),
        wallet_address: WALLET.into(),
        roles: vec!["user".into()],
        expires_at: "2025-11-04T10:45:00Z".into(),
        expires_in_ms: 900_000,
        server_time: TIME.into(),
        heartbeat_seconds: HEARTBEAT_SECONDS,
        limits: Limits::default(),
    }
}

fn subscribed() -> SubscribedPayload {
    SubscribedPayload {
        subscribed: vec![symbol()],
        strategies: [(symbol(), Strategy::Scalp)].into(),
        subscriptions: vec![SubscriptionGranted {
            symbol: symbol(),
            strategy: Strategy::Scalp,
            interval_ms: 30_000,
            recovered: true,
        }],
        rejected: vec![rejected()],
        message: "Subscribed to BTCUSDT with scalp strategy. Updates will be pushed automatically.".into(),
    }
}

fn rejected() -> RejectedSubscription {
    RejectedSubscription {
        symbol: "DOGE".into(),
        strategy: Some("scalp".into()),
        error: "Unknown symbol `DOGE`. Available: BTCUSDT".into(),
        code: ErrorCode::UnknownSymbol,
    }
}

fn subscription_list() -> SubscriptionList {
    SubscriptionList {
        subscribed: vec![symbol()],
        strategies: [(symbol(), Strategy::Scalp)].into(),
        subscriptions: vec![SubscriptionRef { symbol: symbol(), strategy: Strategy::Scalp }],
        rejected: Vec::new(),
    }
}

fn signals() -> [ServerMessage; 3] {
    let (seq, prev) = (1_762_176_600_000, 1_762_176_570_000);
    [
        ServerMessage::Scalp(ScalpMessage {
            symbol: symbol(),
            strategy: Strategy::Scalp,
            seq,
            prev,
            data: scalp(),
        }),
        ServerMessage::Momentum(MomentumMessage {
            symbol: symbol(),
            strategy: Strategy::Momentum,
            seq,
            prev,
            data: momentum(),
        }),
        ServerMessage::RangeTrading(RangeTradingMessage {
            symbol: symbol(),
            strategy: Strategy::RangeTrading,
            seq,
            prev,
            payload: range(),
        }),
    ]
}

fn scalp() -> ScalpIndicator {
    ScalpIndicator {
        symbol: symbol(),
        timestamp: "2025-11-03T13:30:00Z".into(),
        current_price: 107_500.0,
        ema_1min: 107_525.0,
        side: Side::Long,
        limit_price: 107_478.5,
        tp_price: 107_661.25,
        sl_price: 107_392.5,
        tp_percent: 0.15,
        sl_percent: 0.1,
        confidence: Confidence::High,
        reasoning: "Price 0.02% below EMA (107525.00). Mean reversion opportunity.".into(),
        expected_hold_minutes: 2,
        range_high_5min: 107_650.0,
        range_low_5min: 107_450.0,
        position_in_range: 0.25,
    }
}

fn momentum() -> MomentumIndicator {
    MomentumIndicator {
        symbol: symbol(),
        timestamp: "2025-11-04T10:30:00Z".into(),
        current_price: 68_500.0,
        trend_1h: Trend::Down,
        trend_4h: Trend::Down,
        trend_alignment: TrendAlignment::Aligned,
        trend_strength: 2.5,
        macd: -8.5,
        rsi: 42.0,
        side: Side::Short,
        limit_price: 68_513.7,
        tp_price: 68_445.2,
        sl_price: 68_637.0,
        tp_percent: 0.08,
        sl_percent: 0.2,
        confidence: Confidence::High,
        confluence_score: 6,
        reasoning: "DIRECTIONAL SHORT: Trend=DOWN/DOWN. MACD bearish (-8.50), RSI: 42.0.".into(),
        expected_hold_minutes: 5,
    }
}

fn range() -> RangePayload {
    let window = |high: f64, low: f64, size_percent, position_in_range| RangeWindow {
        high,
        low,
        size: high - low,
        size_percent,
        position_in_range,
    };
    RangePayload {
        summary: RangeSummary {
            entry: Entry {
                price: "68500.00".into(),
                side: Side::Long,
                order_type: OrderType::Limit,
                tolerance_percent: 0.3,
                reasoning: "Price near support.".into(),
            },
            severity: Confidence::High,
            sentiment_change: false,
        },
        timestamp: "2025-11-04T10:15:00Z".into(),
        symbol: symbol(),
        range_1h: window(68_750.0, 68_480.0, 0.39, 0.15),
        range_4h: window(69_100.0, 68_400.0, 1.02, 0.17),
        range_24h: window(69_500.0, 68_200.0, 1.91, 0.25),
        volume_profile: Some(VolumeProfile {
            poc: 68_700.0,
            value_area_high: 68_950.0,
            value_area_low: 68_450.0,
            high_volume_nodes: vec![68_500.0, 68_700.0, 68_900.0],
            low_volume_nodes: vec![68_350.0, 69_050.0],
        }),
        key_levels: Some(vec![KeyLevel {
            price: 68_450.0,
            kind: KeyLevelKind::Support,
            strength: 5,
            distance: -0.1,
            source: "value_area_low".into(),
        }]),
        tp_price: Some(68_850.0),
        sl_price: Some(68_350.0),
        risk_reward: Some(2.3),
        confluence_score: Some(5),
        range_data: RangeData {
            daily_high: 69_500.0,
            daily_low: 68_200.0,
            range_size: 1_300.0,
            position_in_range: 0.25,
            current_price: 68_520.0,
        },
    }
}
