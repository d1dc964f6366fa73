// A socket without a network, and the gateway behind it.

const granted = ({ symbol, strategy }) => ({ symbol, strategy, interval_ms: 30_000, recovered: true });

const limits = {
  messages_per_minute: 30,
  subscriptions_per_connection: 10,
  connections_per_user: 3,
  max_message_bytes: 102_400,
};

export class Wire {
  /** The socket that was opened last. */
  static latest;
  static #seq = 1_762_176_600_000;

  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  constructor() {
    Wire.latest = this;
    queueMicrotask(() => this.onopen?.({}));
  }

  send(text) {
    const { type, id, subscriptions } = JSON.parse(text);
    if (type === 'authenticate') {
      const payload = { session_id: 'session', expires_in_ms: 900_000, heartbeat_seconds: 25, limits };
      this.#say({ type: 'connected', id, payload });
    }
    if (type === 'ping') this.#say({ type: 'pong', id, server_time: new Date().toISOString() });
    if (subscriptions) {
      this.#say({ type: 'subscribed', id, payload: { subscriptions: subscriptions.map(granted), rejected: [] } });
    }
  }

  close() {}

  /** The network fails. */
  drop() {
    this.onclose?.({ code: 1006, reason: '' });
  }

  /** The next signal of the only feed. */
  signal() {
    const prev = Wire.#seq;
    Wire.#seq += 30_000;
    const data = { symbol: 'BTCUSDT', side: 'LONG', current_price: 107_500.5 };
    const message = { type: 'scalp_indicator', symbol: 'BTCUSDT', strategy: 'scalp', seq: Wire.#seq, prev, data };
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  #say(message) {
    queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(message) }));
  }
}
