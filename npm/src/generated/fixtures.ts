// Written by `cargo xtask bindings` from the protocol crate. Do not edit.
// The compiler holds the types against real messages: one of every variant.

import type { ClientMessage, ServerMessage } from './protocol.js';

/** One message of every variant that a client may send. */
export const clientFixtures = [
  {
    "id": 1,
    "session": "0193-a",
    "subscriptions": [
      {
        "since": 1762176570000,
        "strategy": "scalp",
        "symbol": "BTCUSDT"
      }
    ],
    "token": "header.claims.signature",
    "type": "authenticate"
  },
  {
    "id": 2,
    "since": 0,
    "strategy": "momentum",
    "symbol": "BTCUSDT",
    "type": "subscribe"
  },
  {
    "id": 9007199254740991,
    "subscriptions": [
      {
        "since": 1762176570000,
        "strategy": "scalp",
        "symbol": "BTCUSDT"
      },
      {
        "symbol": "ETHUSDT"
      }
    ],
    "type": "subscribe"
  },
  {
    "subscriptions": [
      {
        "symbol": "ETHUSDT"
      }
    ],
    "type": "unsubscribe"
  },
  {
    "id": 4,
    "type": "list_subscriptions"
  },
  {
    "type": "ping"
  }
] satisfies ClientMessage[];

/** One message of every variant that a server may send. */
export const serverFixtures = [
  {
    "id": 1,
    "payload": {
      "expires_at": "2025-11-04T10:45:00Z",
      "expires_in_ms": 900000,
      "heartbeat_seconds": 25,
      "limits": {
        "connections_per_user": 3,
        "max_message_bytes": 102400,
        "messages_per_minute": 30,
        "subscriptions_per_connection": 10
      },
      "roles": [
        "user"
      ],
      "server_time": "2025-11-04T10:30:00.123Z",
      "session_id": "0193-b",
      "user_id": "0x742d35Cc6634C0532925a3b844Bc454e4438f44e",
      "wallet_address": "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
    },
    "type": "connected"
  },
  {
    "id": 1,
    "payload": {
      "expires_at": "2025-11-04T10:45:00Z",
      "expires_in_ms": 900000,
      "wallet_address": "0x742d35Cc6634C0532925a3b844Bc454e4438f44e"
    },
    "type": "authenticated"
  },
  {
    "id": 1,
    "payload": {
      "code": "invalid_token",
      "error": "Invalid authentication token"
    },
    "type": "auth_error"
  },
  {
    "id": 2,
    "payload": {
      "message": "Subscribed to BTCUSDT with scalp strategy. Updates will be pushed automatically.",
      "rejected": [
        {
          "code": "unknown_symbol",
          "error": "Unknown symbol `DOGE`. Available: BTCUSDT",
          "strategy": "scalp",
          "symbol": "DOGE"
        }
      ],
      "strategies": {
        "BTCUSDT": "scalp"
      },
      "subscribed": [
        "BTCUSDT"
      ],
      "subscriptions": [
        {
          "interval_ms": 30000,
          "recovered": true,
          "strategy": "scalp",
          "symbol": "BTCUSDT"
        }
      ]
    },
    "strategy": "scalp",
    "symbol": "BTCUSDT",
    "type": "subscribed"
  },
  {
    "id": 3,
    "payload": {
      "rejected": [
        {
          "code": "unknown_symbol",
          "error": "Unknown symbol `DOGE`. Available: BTCUSDT",
          "strategy": "scalp",
          "symbol": "DOGE"
        }
      ],
      "strategies": {},
      "subscribed": [],
      "subscriptions": []
    },
    "symbol": "BTCUSDT",
    "type": "unsubscribed"
  },
  {
    "id": 4,
    "payload": {
      "strategies": {
        "BTCUSDT": "scalp"
      },
      "subscribed": [
        "BTCUSDT"
      ],
      "subscriptions": [
        {
          "strategy": "scalp",
          "symbol": "BTCUSDT"
        }
      ]
    },
    "type": "subscriptions"
  },
  {
    "id": 5,
    "server_time": "2025-11-04T10:30:00.123Z",
    "type": "pong"
  },
  {
    "id": 6,
    "payload": {
      "code": "rate_limited",
      "error": "Message rate limit exceeded: maximum 30 messages per minute",
      "retry_after_ms": 1875
    },
    "type": "error"
  },
  {
    "payload": {
      "server_time": "2025-11-04T10:30:00.123Z"
    },
    "type": "heartbeat"
  },
  {
    "payload": {
      "expires_at": "2025-11-04T10:45:00Z"
    },
    "type": "token_expiring"
  },
  {
    "payload": {
      "reason": "Server restarting",
      "reconnect_after_ms": 1200
    },
    "type": "going_away"
  },
  {
    "data": {
      "confidence": "high",
      "current_price": 107500.0,
      "ema_1min": 107525.0,
      "expected_hold_minutes": 2,
      "limit_price": 107478.5,
      "position_in_range": 0.25,
      "range_high_5min": 107650.0,
      "range_low_5min": 107450.0,
      "reasoning": "Price 0.02% below EMA (107525.00). Mean reversion opportunity.",
      "side": "LONG",
      "sl_percent": 0.1,
      "sl_price": 107392.5,
      "symbol": "BTCUSDT",
      "timestamp": "2025-11-03T13:30:00Z",
      "tp_percent": 0.15,
      "tp_price": 107661.25
    },
    "prev": 1762176570000,
    "seq": 1762176600000,
    "strategy": "scalp",
    "symbol": "BTCUSDT",
    "type": "scalp_indicator"
  },
  {
    "data": {
      "confidence": "high",
      "confluence_score": 6,
      "current_price": 68500.0,
      "expected_hold_minutes": 5,
      "limit_price": 68513.7,
      "macd": -8.5,
      "reasoning": "DIRECTIONAL SHORT: Trend=DOWN/DOWN. MACD bearish (-8.50), RSI: 42.0.",
      "rsi": 42.0,
      "side": "SHORT",
      "sl_percent": 0.2,
      "sl_price": 68637.0,
      "symbol": "BTCUSDT",
      "timestamp": "2025-11-04T10:30:00Z",
      "tp_percent": 0.08,
      "tp_price": 68445.2,
      "trend_1h": "DOWN",
      "trend_4h": "DOWN",
      "trend_alignment": "ALIGNED",
      "trend_strength": 2.5
    },
    "prev": 1762176570000,
    "seq": 1762176600000,
    "strategy": "momentum",
    "symbol": "BTCUSDT",
    "type": "momentum_indicator"
  },
  {
    "payload": {
      "confluence_score": 5,
      "key_levels": [
        {
          "distance": -0.1,
          "price": 68450.0,
          "source": "value_area_low",
          "strength": 5,
          "type": "support"
        }
      ],
      "range_1h": {
        "high": 68750.0,
        "low": 68480.0,
        "position_in_range": 0.15,
        "size": 270.0,
        "size_percent": 0.39
      },
      "range_24h": {
        "high": 69500.0,
        "low": 68200.0,
        "position_in_range": 0.25,
        "size": 1300.0,
        "size_percent": 1.91
      },
      "range_4h": {
        "high": 69100.0,
        "low": 68400.0,
        "position_in_range": 0.17,
        "size": 700.0,
        "size_percent": 1.02
      },
      "range_data": {
        "current_price": 68520.0,
        "daily_high": 69500.0,
        "daily_low": 68200.0,
        "position_in_range": 0.25,
        "range_size": 1300.0
      },
      "risk_reward": 2.3,
      "sl_price": 68350.0,
      "summary": {
        "entry": {
          "order_type": "LIMIT",
          "price": "68500.00",
          "reasoning": "Price near support.",
          "side": "LONG",
          "tolerance_percent": 0.3
        },
        "sentiment_change": false,
        "severity": "high"
      },
      "symbol": "BTCUSDT",
      "timestamp": "2025-11-04T10:15:00Z",
      "tp_price": 68850.0,
      "volume_profile": {
        "high_volume_nodes": [
          68500.0,
          68700.0,
          68900.0
        ],
        "low_volume_nodes": [
          68350.0,
          69050.0
        ],
        "poc": 68700.0,
        "value_area_high": 68950.0,
        "value_area_low": 68450.0
      }
    },
    "prev": 1762176570000,
    "seq": 1762176600000,
    "strategy": "range_trading",
    "symbol": "BTCUSDT",
    "type": "summary"
  }
] satisfies ServerMessage[];
