// One engine for all tabs: the leader's talks to the gateway and passes on what it hears, a follower's rests.
//
// A follower's engine knows its feeds and how far they were heard, so that it can go on at once, without a gap, when
// the leader is gone. Who leads is decided in `election.ts`.

import type { Block, CoreFeedStatus, CoreInput, EngineListener, Feed } from '../engine.js';
import { Verdict } from '../engine.js';
import type { TidegateError } from '../errors.js';
import type { Glue } from '../module.js';
import type { ServerMessage, SignalMessage, Strategy } from '../protocol.js';
import type { ConnectionState, GetToken } from '../types.js';
import { type Action, Election } from './election.js';
import { Followers, MISS_MS } from './followers.js';
import type { FeedState, Mirror, Said, TabMessage, Want } from './message.js';
import { groupOf, type SharedEngine, type SharedListener, type SharedOptions, subjectOf, userOf } from './parts.js';
import type { Rim } from './rim.js';

/** Signals of a feed that are kept at least, for tabs that missed some. */
export const RECENT = 128;
/** Followers are asked for a sign of life with every so manieth beat, and forgotten when none came until the next. */
const ROLL_BEATS = 15;

/** An engine, shared with the other tabs of the same user. */
export class Shared<E extends SharedEngine> implements EngineListener {
  readonly engine: E;
  readonly #rim: Rim | undefined;
  readonly #election: Election;
  readonly #listener: SharedListener;
  readonly #options: SharedOptions;
  readonly #followers: Followers;
  #group = '';
  /** Who the gateway says that the group's user is. */
  #user = '';
  #mirror: Mirror | undefined;
  /** Done when it is known who leads. */
  #joined: Promise<void> | undefined;
  #decided: () => void = () => {};
  #connect = false;
  /** Joined, and not heard yet how the connection stands. */
  #fresh = false;
  #announcing = false;
  #beats = 0;
  #missing = false;
  #askedAt = 0;
  #off = true;

  constructor(
    options: SharedOptions,
    listener: SharedListener,
    engine: (getToken: GetToken, listener: EngineListener) => E,
  ) {
    this.#options = options;
    this.#listener = listener;
    this.#rim = options.rim;
    this.#election = new Election(options.rim?.id ?? '', Math.random() * 300);
    this.engine = engine((request) => this.#token(request), this);
    const say = (said: Said) => this.#say(said);
    const dueAt = (feed: Feed) => this.dueAt(feed);
    this.#followers = new Followers(this.engine, say, dueAt, () => this.#now());
  }

  /** Whether another tab holds the connection. */
  get follows(): boolean {
    return this.#election.role === 'follower' && this.#election.leader !== '';
  }

  get role(): 'alone' | 'leader' | 'follower' {
    const { role } = this.#election;
    return role === 'away' ? 'alone' : role;
  }

  start(glue: Glue): void {
    this.#off = !this.#rim;
    this.engine.start(glue);
    void this.#begin();
  }

  input(input: CoreInput): void {
    const { role } = this.#election;
    if (input === 'connect') this.#connect = true;
    if (role === 'away' && (this.#group || !this.engine.started) && input === 'connect') return;
    if ((input === 'connect' || input === 'new_token') && role === 'follower') this.#urge(input);
    else if (input === 'freeze') {
      this.#act(this.#election.leave());
      this.engine.input(input);
    } else if (input === 'thaw' && this.#group) {
      // Whoever led before must not dial before it leads again.
      if (role === 'away') this.engine.input('disconnect');
      this.engine.input(input);
      if (role === 'away') this.#enter();
    } else {
      this.engine.input(input);
      if (input === 'visible' || input === 'hidden') this.#act(this.#election.seen(input === 'visible', this.#now()));
    }
  }

  subscribe(strategy: Strategy, symbol: string): Feed {
    const feed = this.engine.subscribe(strategy, symbol);
    if (feed.here < 0) this.#showLatest(feed);
    feed.here = Math.max(feed.here, 0) + 1;
    this.#announce();
    return feed;
  }

  release(feed: Feed): void {
    feed.here -= 1;
    this.engine.release(feed);
    this.#announce();
  }

  /** When the next signal of a feed is due, as of `Date.now()`. */
  dueAt(feed: Feed): number | null {
    if (this.follows) return feed.dueAt;
    const dueInMs = this.engine.dueInMs(feed);
    return dueInMs === undefined ? null : Date.now() + dueInMs;
  }

  dropConnection(): void {
    if (this.follows) this.#say({ kind: 'ask', what: 'drop' });
    else this.engine.dropConnection();
  }

  close(): void {
    this.#act(this.#election.leave());
    this.#off = true;
    this.engine.close();
  }

  // What the engine tells: for this tab, and where it leads, for the others.

  onStatus(state: ConnectionState, block: Block, numbers: Float64Array): void {
    if (this.follows) return;
    this.#listener.onStatus(state, block, numbers);
    this.#tell();
  }

  onFeed(feed: Feed, status: CoreFeedStatus, code: string): void {
    feed.core = [status, code];
    // What is no feed at all is refused here, and no leader ever hears of it.
    if (this.follows && code !== 'invalid_feed') return;
    this.#setFeed(feed, status, code);
    this.#followers.tellFeed(feed);
  }

  onSignal(feed: Feed, signal: SignalMessage, verdict: number, now: number): void {
    if (verdict === Verdict.backfill) verdict = this.#fill(feed, signal, now);
    else feed.push(signal, now);
    if (this.#followers.some) this.#followers.pass(feed, signal, verdict);
  }

  #fill(feed: Feed, signal: SignalMessage, now: number): number {
    // What was held by its number alone, and asked for: for this tab it is new.
    const isNew = signal.seq > feed.last || (signal.seq === feed.last && feed.recent.length === 0);
    if (isNew) feed.push(signal, now);
    else feed.fill(signal);
    return isNew ? Verdict.deliver : Verdict.backfill;
  }

  onControl(message: ServerMessage): void {
    this.#listener.onControl(message);
    if (message.type === 'connected') this.#identify(message.payload.user_id);
  }

  onGap(feed: Feed, after: number, before: number): void {
    if (feed.here >= 0) this.#listener.onGap(feed, after, before);
  }

  onWarning(name: string, code: string, number: number, feed: Feed | undefined): void {
    if (feed && feed.here < 0) return;
    this.#listener.onWarning(name, code, number, feed);
    this.#tell();
  }

  onError(error: TidegateError): void {
    this.#listener.onError(error);
    this.#tell();
  }

  onFrame(direction: 'in' | 'out', text: string): void {
    this.#listener.onFrame(direction, text);
  }

  onClose(code: number, reason: string): void {
    this.#listener.onClose(code, reason);
  }

  onFailure(error: TidegateError): void {
    // Another tab may do better.
    this.#act(this.#election.leave());
    this.#off = true;
    this.#group = '';
    this.#decided();
    this.#listener.onFailure(error);
  }

  // What the other tabs tell.

  granted(): void {
    this.#act(this.#election.granted(this.#now()));
  }

  lost(): void {
    this.#act(this.#election.lost(this.#now()));
  }

  failed(): void {
    this.#act(this.#election.failed());
  }

  wake(): void {
    this.#act(this.#election.tick(this.#now()));
  }

  message(message: TabMessage): void {
    const { from } = message;
    if (message.kind === 'lead') this.#onLead(message);
    else if (message.kind === 'bye') {
      this.#election.heardBye(from);
      this.#followers.forget(from);
    } else if (message.kind === 'want') {
      this.#election.heardFollower(from, message.visible);
      if (this.#election.role !== 'leader') return;
      // First of all who leads: it may not know yet, and hears only the leader.
      this.#tell();
      this.#followers.want(message);
    } else if (message.kind === 'ask') {
      if (this.#election.role === 'leader') this.#onAsk(message.what);
    } else if (from === this.#election.leader && this.follows) {
      this.#election.heard(this.#now());
      if (message.kind === 'feed') this.#onFeedState(message.state);
      if (message.kind === 'signal' && (message.to === '' || message.to === this.#rim?.id)) this.#onPassed(message);
    }
  }

  #onLead(message: TabMessage & { kind: 'lead' }): void {
    const { from, term, visible, mirror, user, roll } = message;
    this.#act(this.#election.heardLeader(from, term, visible, this.#now()));
    if (!this.follows || from !== this.#election.leader) return;
    this.#user ||= user;
    this.#mirror = mirror;
    // A tab that is just opened is a wish to connect: here the user is, and may have signed in meanwhile.
    const urgent = this.#fresh && this.#connect && mirror.state === 'blocked';
    this.#fresh = false;
    if (urgent) {
      this.#urge('connect');
      return;
    }
    this.#listener.onMirror(mirror);
    if (roll) this.#announce();
    this.#askAgain();
  }

  #onAsk(what: 'connect' | 'new_token' | 'drop'): void {
    if (what === 'drop') this.engine.dropConnection();
    // Nothing else: what a newer page may ask is not known here.
    else if (what === 'connect' || what === 'new_token') this.engine.input(what);
  }

  #onFeedState([strategy, symbol, status, code, dueAt]: FeedState): void {
    const feed = this.engine.find(strategy, symbol);
    if (!feed || feed.here < 1) return;
    feed.dueAt = dueAt;
    const refused = status === 'rejected' && feed.status !== status;
    this.#setFeed(feed, status, code);
    if (refused) this.#listener.onWarning('feed_rejected', code, 0, feed);
  }

  #onPassed({ signal, verdict, dueAt, to }: TabMessage & { kind: 'signal' }): void {
    const feed = this.engine.find(signal.strategy, signal.symbol);
    if (!feed || feed.here < 1) return;
    const { seq, prev } = signal;
    const { last } = feed;
    // The next one is the next one, however the leader came by it.
    const next = last === 0 || (prev === last && seq > last);
    // Only to everybody may something older be news: when the gateway's history began anew.
    if (seq === last || (seq < last && (verdict === Verdict.deliver || to !== ''))) return;
    if (!next && verdict === Verdict.backfill) {
      if (seq < last) feed.fill(signal);
      return;
    }
    if (!next && verdict === Verdict.deliver) {
      this.#missing = true;
      this.#askAgain();
      return;
    }
    if (!next) this.#listener.onGap(feed, last, seq);
    feed.dueAt = dueAt;
    feed.push(signal, Date.now());
  }

  // What the election decides.

  #act(actions: Action[]): void {
    for (const action of actions) this.#perform(action);
    if (actions.length > 0 || this.#election.role === 'follower') this.#rim?.wakeAt(this.#election.wakeAt);
  }

  #perform(action: Action): void {
    const rim = this.#rim;
    if (action === 'request') rim?.request(false);
    else if (action === 'steal') rim?.request(true);
    else if (action === 'release') rim?.release();
    else if (action === 'beat') this.#beat();
    else if (action === 'announce') this.#announce();
    else if (action === 'lead') this.#lead();
    else if (action === 'follow') this.#follow();
    else {
      if (action === 'bye') this.#say({ kind: 'bye' });
      this.#followers.abandon();
      rim?.close();
      if (action === 'alone') this.#lead();
    }
  }

  /** From here on the engine speaks for itself. */
  #lead(): void {
    this.#fresh = false;
    for (const feed of this.engine.feeds()) {
      this.engine.held(feed, feed.last);
      if (this.#mirror && feed.here > 0) this.#setFeed(feed, ...feed.core);
    }
    this.#mirror = undefined;
    if (this.#connect) this.engine.input('connect');
    this.#decided();
  }

  #follow(): void {
    this.#askedAt = this.#now();
    this.#followers.abandon();
    this.engine.input('disconnect');
    this.#decided();
  }

  /** The user wants a connection, or signed in. Where the leader cannot, this tab can: here the user is. */
  #urge(what: 'connect' | 'new_token'): void {
    if (this.#mirror?.state !== 'blocked') this.#say({ kind: 'ask', what });
    else this.#act(this.#election.take());
  }

  // Who belongs together.

  async #begin(): Promise<void> {
    const { identity, getToken } = this.#options;
    const user = this.#off ? undefined : (identity ?? (await userOf(getToken)));
    // Without a user: connect, the first token says who it is.
    if (user === undefined) this.#lead();
    else this.#join(user);
  }

  /** Joins the tabs of a user. */
  #join(user: string): void {
    this.#group = groupOf(this.#options.url, user);
    this.#enter();
  }

  #enter(): void {
    const rim = this.#rim;
    if (!rim || this.#off) return;
    this.#user = '';
    this.#fresh = true;
    this.#decided();
    this.#joined = new Promise((resolve) => {
      this.#decided = resolve;
    });
    rim.open(this.#group, this);
    this.#act(this.#election.join(rim.visible(), this.#now()));
  }

  /** The first token says who the user is, unless the application did. None is used before it is known who leads. */
  async #token(request: Parameters<GetToken>[0]): Promise<Awaited<ReturnType<GetToken>>> {
    const answer = await this.#options.getToken(request);
    const user = this.#off || this.#group ? undefined : subjectOf(answer);
    if (user) this.#join(user);
    await this.#joined;
    return answer;
  }

  /** The gateway took us for somebody else than the tabs that we share with: then we do not belong there. */
  #identify(user: string): void {
    if (this.#election.role !== 'leader') return;
    const other = this.#user !== '' && this.#user !== user;
    this.#user = user;
    if (!other) return;
    this.#act(this.#election.leave());
    this.#join(user);
    this.#user = user;
  }

  // The small things.

  #now(): number {
    return this.#rim?.now() ?? 0;
  }

  #say(said: Said): void {
    this.#rim?.post(said);
  }

  /** Shows that this tab lives and leads; now and then asks who follows. */
  #beat(): void {
    this.#beats += 1;
    const roll = this.#beats % ROLL_BEATS === 0;
    this.#tell(roll);
    if (roll) this.#followers.roll();
  }

  #tell(roll = false): void {
    const { role, term, visible } = this.#election;
    if (role !== 'leader') return;
    this.#say({ kind: 'lead', term, visible, mirror: this.#listener.mirror(), user: this.#user, roll });
  }

  /** Something is missing before a signal: what was asked for last may still be on its way. */
  #askAgain(): void {
    if (!this.#missing || this.#now() < this.#askedAt + MISS_MS) return;
    this.#missing = false;
    this.#askedAt = this.#now();
    this.#announce(true);
  }

  /** All wishes at once, however many changed. */
  #announce(missed = false): void {
    if (this.#election.role !== 'follower' || (this.#announcing && !missed)) return;
    this.#announcing = true;
    queueMicrotask(() => {
      this.#announcing = false;
      if (this.#election.role !== 'follower') return;
      const feeds: Want[] = [];
      for (const { strategy, symbol, last, core, here } of this.engine.feeds()) {
        if (here > 0 && core[1] !== 'invalid_feed') feeds.push([strategy, symbol, last]);
      }
      this.#say({ kind: 'want', visible: this.#election.visible, feeds, missed });
    });
  }

  /** Wanted here for the first time, but not by the first: no latest signal comes, because the core has had it. */
  #showLatest(feed: Feed): void {
    const { last, recent } = feed;
    const latest = recent.at(-1);
    // The leader is asked as by a tab that holds nothing.
    if (this.#election.role === 'follower') feed.restart();
    if (last === 0) return;
    if (feed.last === 0 || !latest) this.engine.held(feed, last - 1);
    // Whoever asked is not there yet.
    else
      queueMicrotask(() => {
        if (feed.last === last) feed.view?.deliver(latest, Date.now());
      });
  }

  #setFeed(feed: Feed, status: CoreFeedStatus, code: string): void {
    feed.status = status;
    feed.code = code;
    if (feed.here >= 0) this.#listener.onFeed(feed, status, code);
  }
}
