// From the text of a frame to the application's callback: the SDK beside the least that a client can do.
//
// Runs in Node and in a page. Both clients read texts of their own, in turns and in rounds so short that most pass
// without an interruption; of all rounds the median counts.

/**
 * Bytes of a message, what the SDK may take of the plain client's time, and what would be the best that we know of. Where
 * the rest goes is told in `npm/README.md`.
 */
export const SIZES = [
  { bytes: 100, gate: 1.25, stretch: 1.15 },
  { bytes: 540, gate: 1.15, stretch: 1.08 },
  { bytes: 2_300, gate: 1.15, stretch: 1.08 },
];

/** Between two signals of a feed. */
const INTERVAL_MS = 30_000;

const ROUNDS = 400;
/** Of these the results are left out: code is still being compiled for speed. */
const WARM_UP = 300;
const ROUNDS_PER_TASK = 8;
/** Text that each client reads in one round: less than a millisecond's work. */
const ROUND_BYTES = 60_000;

/** One row for each size: microseconds a message, and their ratio. */
export async function measure(tidegate) {
  const rows = [];
  for (const size of SIZES) rows.push({ ...size, ...(await compare(tidegate, size.bytes)) });
  return rows;
}

async function compare({ connect }, bytes) {
  const sockets = { plain: new Wire(), sdk: undefined };
  const seen = { plain: 0, sdk: 0 };
  const webSocket = () => {
    sockets.sdk = new Wire();
    return sockets.sdk;
  };
  const client = await connect({ url: 'ws://127.0.0.1/ws', getToken: () => 'token', webSocket });
  client.subscribe('scalp', 'BTCUSDT', ({ seq }) => {
    seen.sdk += seq;
  });
  plainClient(sockets.plain, ({ seq }) => {
    seen.plain += seq;
  });
  await later();

  const times = { plain: [], sdk: [] };
  let seq = 1_762_176_600_000;
  for (let round = 0; round < WARM_UP + ROUNDS; round += 1) {
    const count = Math.round(ROUND_BYTES / bytes);
    const rested = round % ROUNDS_PER_TASK === 0;
    for (const name of round % 2 ? ['plain', 'sdk'] : ['sdk', 'plain']) {
      const time = timed(sockets[name], events(seq, count, bytes));
      // After a rest both find their code and data out of the processor's caches.
      if (!rested && round >= WARM_UP) times[name].push(time);
    }
    seq += count * INTERVAL_MS;
    // What the SDK does once per picture is not part of a message.
    if ((round + 1) % ROUNDS_PER_TASK === 0) await later();
  }
  client.close();
  if (seen.sdk !== seen.plain) throw new Error('the SDK did not deliver every message');
  const { plain, sdk } = times;
  return {
    size: new TextEncoder().encode(signal(seq, seq, bytes)).length,
    plainUs: median(plain),
    sdkUs: median(sdk),
    ratio: median(plain.map((time, round) => sdk[round] / time)),
  };
}

/** JSON.parse, a switch, a callback. */
function plainClient(socket, onSignal) {
  socket.onmessage = (event) => {
    const message = JSON.parse(event.data);
    switch (message.type) {
      case 'scalp_indicator':
      case 'momentum_indicator':
      case 'summary':
        onSignal(message);
        break;
      case 'error':
        throw new Error(message.payload.error);
      default:
    }
  };
}

/** Signals that follow one another. */
function events(seq, count, bytes) {
  return Array.from({ length: count }, (_, index) => {
    const prev = seq + index * INTERVAL_MS;
    return { data: signal(prev + INTERVAL_MS, prev, bytes) };
  });
}

/** Microseconds a message. */
function timed(socket, events) {
  const began = performance.now();
  for (const event of events) socket.onmessage(event);
  return ((performance.now() - began) * 1_000) / events.length;
}

/** A socket without a network: it answers as a gateway would, and the measurement puts frames into it. */
class Wire {
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;

  constructor() {
    queueMicrotask(() => this.onopen?.({}));
  }

  send(text) {
    const { type, id, subscriptions } = JSON.parse(text);
    if (type === 'authenticate') this.#say({ type: 'connected', id, payload: CONNECTED });
    if (subscriptions)
      this.#say({ type: 'subscribed', id, payload: { subscriptions: subscriptions.map(granted), rejected: [] } });
  }

  close() {}

  #say(message) {
    queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(message) }));
  }
}

const granted = ({ symbol, strategy }) => ({ symbol, strategy, interval_ms: 30_000, recovered: true });

const CONNECTED = {
  session_id: 'session',
  expires_in_ms: 900_000,
  heartbeat_seconds: 25,
  limits: {
    messages_per_minute: 30,
    subscriptions_per_connection: 10,
    connections_per_user: 3,
    max_message_bytes: 102_400,
  },
};

/** A signal of about so many bytes. */
function signal(seq, prev, bytes) {
  const head = { type: 'scalp_indicator', symbol: 'BTCUSDT', strategy: 'scalp', seq, prev };
  if (bytes < 500) return JSON.stringify(head);
  return JSON.stringify({ ...head, data: bytes < 1_000 ? SCALP : { ...SCALP, levels: LEVELS } });
}

const SCALP = {
  symbol: 'BTCUSDT',
  timestamp: '2025-11-03T13:30:00Z',
  current_price: 107_500.1,
  ema_1min: 107_525.2,
  side: 'LONG',
  limit_price: 107_478.5,
  tp_price: 107_661.25,
  sl_price: 107_392.5,
  tp_percent: 0.15,
  sl_percent: 0.1,
  confidence: 'high',
  reasoning: 'Price 0.02% below EMA (107525.20). Mean reversion opportunity. Price in bottom 30% of 5min range.',
  expected_hold_minutes: 2,
  range_high_5min: 107_650.3,
  range_low_5min: 107_450.4,
  position_in_range: 0.25,
};

const LEVELS = Array.from({ length: 18 }, (_, index) => ({
  price: 68_450.5 + index,
  type: index % 2 ? 'support' : 'resistance',
  strength: (index % 5) + 1,
  distance: -0.1 * index,
  source: 'value_area_low',
}));

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function later() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
