// A browser with tabs on virtual time: locks, channels and a gateway, and tabs that crash, freeze, hang and hide.

import type { CoreInput, EngineListener, Feed } from '../src/engine.js';
import { Verdict } from '../src/engine.js';
import { TidegateError } from '../src/errors.js';
import { Feeds } from '../src/feeds.js';
import type { SignalMessage, Strategy } from '../src/protocol.js';
import { IDLE_CONNECTION } from '../src/store.js';
import type { Mirror, Said, TabMessage } from '../src/tabs/message.js';
import type { SharedEngine } from '../src/tabs/parts.js';
import type { Rim, RimListener } from '../src/tabs/rim.js';
import { Shared } from '../src/tabs/shared.js';
import type { ConnectionState, GetToken } from '../src/types.js';
import type { View } from '../src/view.js';
import { scalp } from './fake-gateway.js';

/** A generator with a seed, for runs that can be repeated. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Everything that the tabs share: time, the lock, the channel, the gateway. */
export class World {
  now = 1_000_000;
  /** Whether the gateway has forgotten what was. */
  forgetful = false;
  readonly random: () => number;
  readonly tabs: Tab[] = [];
  /** All signals of the one feed, as the gateway published them. */
  readonly log: SignalMessage[] = [];
  /** Holds the lock, and waits for it. */
  readonly queues = new Map<string, { held: Claim | undefined; waiting: Claim[] }>();
  /** What is to happen, the next last. */
  readonly #events: { at: number; run: () => void; tab: Tab | undefined }[] = [];

  constructor(seed = 1) {
    this.random = random(seed);
  }

  /** Does something later; not at all if the tab is gone by then, and not before it wakes up if it hangs. */
  later(ms: number, run: () => void, tab?: Tab): void {
    const event = { at: this.now + ms, run, tab };
    // Nearly always among the first.
    let place = this.#events.length;
    while (place > 0 && (this.#events[place - 1]?.at ?? 0) <= event.at) place -= 1;
    this.#events.splice(place, 0, event);
  }

  /** Lets time pass. */
  async pass(ms: number): Promise<void> {
    const until = this.now + ms;
    await settled();
    for (;;) {
      const next = this.#events.at(-1);
      if (!next || next.at > until) break;
      this.#events.pop();
      this.now = Math.max(this.now, next.at);
      const { tab } = next;
      if (tab?.gone) continue;
      if (tab && (tab.hung || tab.frozen)) {
        tab.pending.push(next.run);
        continue;
      }
      next.run();
      await settled();
      this.check();
    }
    this.now = until;
  }

  async open(options: TabOptions = {}): Promise<Tab> {
    const tab = new Tab(this, this.tabs.length, options);
    this.tabs.push(tab);
    tab.start(options.idle);
    await settled();
    return tab;
  }

  /** The gateway publishes one more signal. */
  async publish(): Promise<void> {
    const prev = this.log.at(-1)?.seq ?? 0;
    const signal = scalp(prev + 10, prev);
    this.log.push(signal);
    for (const tab of this.tabs) if (tab.engine.granted) tab.engine.receive(signal);
    await settled();
    this.check();
  }

  /** Tabs whose engine is connected, or about to be. */
  get connected(): Tab[] {
    return this.tabs.filter((tab) => tab.engine.wanted && !tab.gone);
  }

  /** What holds at every step. */
  check(): void {
    // One that hung needs a moment to hear that it was robbed.
    const awake = this.connected.filter((tab) => !tab.hung && !tab.frozen && this.now > tab.wokeAt + 5);
    if (awake.length > 1) throw new Error(`${awake.map((tab) => tab.id)} are connected at ${this.now}`);
  }
}

/** How a tab is opened. */
export interface TabOptions {
  visible?: boolean;
  identity?: string | undefined;
  /** It wants no feed yet. */
  idle?: boolean;
  getToken?: GetToken;
}

/** A token that says whose it is. */
export const tokenOf = (sub: string) => `.${btoa(JSON.stringify({ sub }))}.`;

/** Lets promises run. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn += 1) await Promise.resolve();
}

interface Claim {
  tab: Tab;
  granted(): void;
  stolen(): void;
}

/** One page. */
export class Tab implements Rim {
  readonly id: string;
  readonly world: World;
  readonly shared: Shared<FakeEngine>;
  readonly pending: (() => void)[] = [];
  /** What the application has seen. */
  readonly seen: number[] = [];
  readonly filled: number[] = [];
  readonly gaps: [number, number][] = [];
  mirrored: Mirror | undefined;
  state = 'idle';
  /** Every state that the leader's page has shown to it. */
  readonly shown: string[] = [];
  feedStatus = '';
  gone = false;
  hung = false;
  frozen = false;
  wokeAt = 0;
  #visible: boolean;
  #listener: RimListener | undefined;
  #group = '';
  #claim: Claim | undefined;
  #timer = 0;

  constructor(world: World, number: number, options: TabOptions) {
    this.world = world;
    this.id = `tab${number}`;
    this.#visible = options.visible ?? true;
    const ignore = () => {};
    const { identity, getToken } = { identity: 'alice', getToken: () => 'token', ...options };
    this.shared = new Shared(
      { rim: this, url: 'wss://gateway/ws', identity, getToken },
      {
        onStatus: (state) => {
          this.state = state;
        },
        onFeed: (_, status) => {
          this.feedStatus = status;
        },
        onGap: (_, after, before) => void this.gaps.push([after, before]),
        onControl: ignore,
        onWarning: ignore,
        onError: ignore,
        onFrame: ignore,
        onClose: ignore,
        onFailure: ignore,
        mirror: () => ({ ...IDLE_CONNECTION, error: null, offsetMs: undefined, state: this.state as 'live' }),
        onMirror: (mirror) => {
          this.mirrored = mirror;
          this.state = mirror.state;
          this.shown.push(mirror.state);
        },
      },
      (token, listener) => new FakeEngine(this, token, listener),
    );
  }

  get engine(): FakeEngine {
    return this.shared.engine;
  }

  /** `idle`: it wants no feed yet. */
  start(idle = false): void {
    this.shared.input('connect');
    this.shared.start({} as never);
    if (!idle) this.subscribe();
  }

  #wants = false;
  /** Wants the feed, if it does not yet. */
  subscribe(): void {
    if (this.#wants) return;
    this.#wants = true;
    const feed = this.shared.subscribe('scalp', 'BTCUSDT');
    feed.view = { deliver: ({ seq }: SignalMessage) => void this.seen.push(seq), filled: () => {} } as unknown as View;
  }

  show(): void {
    this.#visible = true;
    this.shared.input('visible');
  }

  hide(): void {
    this.#visible = false;
    this.shared.input('hidden');
  }

  /** The process ends: the browser frees the lock, and nobody says goodbye. */
  crash(): void {
    this.gone = true;
    this.engine.connected = false;
    this.release();
  }

  quit(): void {
    this.shared.close();
    this.gone = true;
  }

  freeze(): void {
    this.shared.input('freeze');
    this.frozen = true;
  }

  thaw(): void {
    this.frozen = false;
    this.shared.input('thaw');
    this.#catchUp();
  }

  /** Nothing runs in the page, and it does not know. */
  hang(): void {
    this.hung = true;
  }

  wake(): void {
    this.hung = false;
    this.wokeAt = this.world.now;
    this.#catchUp();
  }

  #catchUp(): void {
    for (const run of this.pending.splice(0)) this.world.later(0, run, this);
  }

  // The rim.

  visible(): boolean {
    return this.#visible;
  }

  now(): number {
    return this.world.now;
  }

  open(group: string, listener: RimListener): void {
    this.#group = group;
    this.#listener = listener;
  }

  get group(): string {
    return this.#group;
  }

  hear(message: TabMessage): void {
    this.#listener?.message(message);
  }

  request(steal: boolean): void {
    this.release();
    const queue = this.#queue();
    const claim: Claim = {
      tab: this,
      granted: () => this.world.later(1, () => claim === this.#claim && this.#listener?.granted(), this),
      stolen: () =>
        this.world.later(
          1,
          () => {
            if (claim !== this.#claim) return;
            this.#claim = undefined;
            this.#listener?.lost();
          },
          this,
        ),
    };
    this.#claim = claim;
    if (steal) {
      queue.held?.stolen();
      queue.held = claim;
      claim.granted();
    } else {
      queue.waiting.push(claim);
      this.#grantNext();
    }
  }

  release(): void {
    const claim = this.#claim;
    this.#claim = undefined;
    const queue = this.#queue();
    queue.waiting = queue.waiting.filter((waiting) => waiting !== claim);
    if (claim && queue.held === claim) queue.held = undefined;
    this.#grantNext();
  }

  post(said: Said): void {
    const message = structuredClone({ ...said, from: this.id }) as TabMessage;
    const group = this.#group;
    for (const other of this.world.tabs) {
      if (other === this || other.gone) continue;
      this.world.later(1, () => other.group === group && group !== '' && other.hear(message), other);
    }
  }

  wakeAt(at: number): void {
    this.#timer += 1;
    const timer = this.#timer;
    if (at === Number.POSITIVE_INFINITY) return;
    // Timers of hidden pages are slow.
    const slow = this.#visible ? 0 : this.world.random() * 1_000;
    this.world.later(Math.max(0, at - this.world.now) + slow, () => timer === this.#timer && this.#wake(), this);
  }

  close(): void {
    this.release();
    this.wakeAt(Number.POSITIVE_INFINITY);
    this.#group = '';
  }

  #wake(): void {
    this.#listener?.wake();
  }

  #queue() {
    const queue = this.world.queues.get(this.#group) ?? { held: undefined, waiting: [] };
    this.world.queues.set(this.#group, queue);
    return queue;
  }

  #grantNext(): void {
    const queue = this.#queue();
    if (queue.held) return;
    queue.held = queue.waiting.shift();
    queue.held?.granted();
  }
}

/** How long a feed is kept that nobody wants any more. */
const LINGER_MS = 3_000;

/** The engine as far as tabs see it: positions, verdicts, and a dial that takes a moment. */
export class FakeEngine implements SharedEngine {
  started = false;
  wanted = false;
  connected = false;
  /** Whether the gateway sends it the feed. */
  granted = false;
  readonly #tab: Tab;
  readonly #getToken: GetToken;
  readonly #listener: EngineListener;
  readonly #feed: Feed;
  #references = 0;
  /** Of the references so far. */
  #changes = 0;
  /** How often the feed was granted. */
  #grant = 0;
  #position = 0;
  #hole = Number.POSITIVE_INFINITY;
  #late = Number.POSITIVE_INFINITY;
  #dial = 0;

  constructor(tab: Tab, getToken: GetToken, listener: EngineListener) {
    this.#tab = tab;
    this.#getToken = getToken;
    this.#listener = listener;
    const feeds = new Feeds(128);
    this.#feed = feeds.get('scalp', 'BTCUSDT');
    feeds.bind(this.#feed, 1);
    const fill = this.#feed.fill.bind(this.#feed);
    this.#feed.fill = (signal) => {
      fill(signal);
      if (this.#feed.view) tab.filled.push(signal.seq);
    };
  }

  get references(): number {
    return this.#references;
  }

  start(): void {
    this.started = true;
  }

  input(input: CoreInput): void {
    if (input === 'connect' && !this.wanted) {
      this.wanted = true;
      this.#connect();
    }
    if (input === 'disconnect' || input === 'freeze') {
      this.wanted = false;
      this.drop();
    }
  }

  /** The connection is lost. */
  drop(): void {
    this.connected = false;
    this.granted = false;
    this.#dial += 1;
    this.#status('waiting');
  }

  /** The module trapped too often. */
  fail(): void {
    this.started = false;
    this.close();
    this.#listener.onFailure(new TidegateError('wasm_trap'));
  }

  dropConnection(): void {
    this.drop();
    if (this.wanted) this.#connect();
  }

  subscribe(_strategy: Strategy, _symbol: string): Feed {
    this.#references += 1;
    this.#changes += 1;
    // Not at once: as in the core, all that is said of a feed in the same moment counts.
    this.#tab.world.later(1, () => this.#resume(), this.#tab);
    return this.#feed;
  }

  release(): void {
    this.#references -= 1;
    this.#changes += 1;
    const changes = this.#changes;
    // As in the core: whoever wants it again soon finds it as if it had never been given back.
    const end = () => {
      if (changes === this.#changes && this.#references === 0) this.granted = false;
    };
    this.#tab.world.later(LINGER_MS, end, this.#tab);
  }

  held(_: Feed, seq: number): void {
    // Asked for already, without saying so: the latest comes first, and then what is missing before it.
    if (this.#position === 0 && this.granted) this.#late = Math.min(this.#late, seq);
    else if (seq > this.#position) this.#position = seq;
    else if (seq < this.#position && seq !== 0) {
      this.#hole = Math.min(this.#hole, seq);
      if (this.connected) this.#fill();
    }
  }

  #fill(): void {
    const [after, before] = [this.#hole, this.#position];
    this.#hole = Number.POSITIVE_INFINITY;
    if (this.#tab.world.forgetful) return;
    for (const signal of this.#tab.world.log) {
      if (signal.seq <= after || signal.seq > before) continue;
      const fill = () =>
        this.connected && this.#listener.onSignal(this.#feed, signal, Verdict.backfill, this.#tab.world.now);
      this.#tab.world.later(1, fill, this.#tab);
    }
  }

  find(): Feed {
    return this.#feed;
  }

  feeds(): Feed[] {
    return [this.#feed];
  }

  dueInMs(): undefined {
    return undefined;
  }

  close(): void {
    this.wanted = false;
    this.drop();
  }

  receive(signal: SignalMessage): void {
    const grant = this.#grant;
    const receive = () => {
      // The core knows a signal that was sent for an older subscription.
      if (!this.connected || !this.granted || grant !== this.#grant || signal.seq <= this.#position) return;
      const last = this.#position;
      const gap = last !== 0 && signal.prev !== last;
      this.#position = signal.seq;
      if (this.#late < signal.seq && this.#late !== signal.prev) {
        this.#hole = this.#late;
        this.#tab.world.later(25, () => this.connected && this.#fill(), this.#tab);
      }
      this.#late = Number.POSITIVE_INFINITY;
      if (gap) this.#listener.onGap(this.#feed, last, signal.seq);
      const verdict = gap ? Verdict.gap : Verdict.deliver;
      this.#listener.onSignal(this.#feed, signal, verdict, this.#tab.world.now);
      if (!gap) return;
      this.#hole = Math.min(this.#hole, last);
      this.#fill();
    };
    this.#tab.world.later(1, receive, this.#tab);
  }

  #connect(): void {
    this.#dial += 1;
    const dial = this.#dial;
    this.#status('dialing');
    void this.#open(dial);
  }

  async #open(dial: number): Promise<void> {
    await this.#getToken({ signal: new AbortController().signal });
    if (dial !== this.#dial) return;
    const { world } = this.#tab;
    world.later(20 + world.random() * 80, () => dial === this.#dial && this.#opened(), this.#tab);
  }

  #opened(): void {
    this.connected = true;
    this.#status('live');
    this.#resume();
  }

  #resume(): void {
    if (!this.connected || this.granted || this.#references === 0) return;
    this.granted = true;
    this.#grant += 1;
    const { log } = this.#tab.world;
    this.#listener.onFeed(this.#feed, 'live', '');
    this.#fill();
    const missed = this.#position === 0 ? log.slice(-1) : log.filter(({ seq }) => seq > this.#position);
    for (const signal of missed) this.receive(signal);
  }

  #status(state: ConnectionState): void {
    this.#listener.onStatus(state, '', new Float64Array());
  }
}
