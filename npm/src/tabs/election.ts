// Which tab holds the connection: decisions only. Locks, messages and timers are `rim.ts`'s, time is an argument.
//
// The lock is the truth: whoever holds it leads. Messages only tell the others that it is alive, and terms put an
// end to a leader that was robbed while it hung and does not know yet.

/** `away`: takes no part, as a frozen page. `alone`: there are no locks here, so every tab has its own connection. */
export type Role = 'away' | 'alone' | 'follower' | 'leader';

/** What follows from an input, to be done in order. */
export type Action =
  /** Queue for the lock; take it from whoever has it; give it up, or leave the queue. */
  | 'request'
  | 'steal'
  | 'release'
  /** Connect; disconnect; connect without sharing. */
  | 'lead'
  | 'follow'
  | 'alone'
  /** Say that we lead; say what we want; say that we leave. */
  | 'beat'
  | 'announce'
  | 'bye';

/** How often the leader shows that it lives. */
export const BEAT_MS = 1_000;
/** Silence after which a visible follower takes the lock. */
export const SILENCE_MS = 3_000;
/** A timer that is later than this was asleep, and so may have been whatever it waited for. */
const LATE_MS = 2_000;

/** One tab's part in the election. */
export class Election {
  role: Role = 'away';
  /** Who leads, as far as heard. */
  leader = '';
  /** The leadership that counts: an older one is over. */
  term = 0;
  /** When {@link tick} is due. */
  wakeAt = Number.POSITIVE_INFINITY;
  visible = true;
  readonly #id: string;
  readonly #patienceMs: number;
  #heardAt = 0;
  /** Other tabs that somebody looks at. */
  readonly #watched = new Set<string>();
  #yielded = false;

  /** `jitterMs`: two visible followers must not take the lock at the same moment. */
  constructor(id: string, jitterMs: number) {
    this.#id = id;
    this.#patienceMs = SILENCE_MS + jitterMs;
  }

  /** The tab takes part. */
  join(visible: boolean, now: number): Action[] {
    if (this.role !== 'away') return [];
    this.visible = visible;
    this.leader = '';
    this.#watched.clear();
    this.#stand(now);
    return ['request', 'announce'];
  }

  /** The tab goes, or is frozen: whoever is next must not wait for it. */
  leave(): Action[] {
    if (this.role === 'away') return [];
    this.role = 'away';
    this.wakeAt = Number.POSITIVE_INFINITY;
    return ['release', 'bye'];
  }

  /** The lock is ours. */
  granted(now: number): Action[] {
    if (this.role !== 'follower') return ['release'];
    this.#watched.delete(this.leader);
    if (!this.visible && !this.#yielded && this.#watched.size > 0) {
      // Timers of hidden pages are slow. Only once: the visible tab may be gone without a word.
      this.#yielded = true;
      return ['release', 'request'];
    }
    this.role = 'leader';
    this.leader = this.#id;
    this.term = Math.max(this.term + 1, now);
    this.wakeAt = now + BEAT_MS;
    return ['lead', 'beat'];
  }

  /** The lock was taken from us. */
  lost(now: number): Action[] {
    if (this.role === 'away') return [];
    this.#stand(now);
    return ['request', 'follow', 'announce'];
  }

  /** There are no locks after all. */
  failed(): Action[] {
    this.role = 'alone';
    this.wakeAt = Number.POSITIVE_INFINITY;
    return ['alone'];
  }

  /** Another tab says that it leads. */
  heardLeader(from: string, term: number, visible: boolean, now: number): Action[] {
    this.#note(from, visible);
    if (this.role === 'leader') {
      // The lock says who is right; until it has spoken, the later one.
      if (term < this.term || (term === this.term && from < this.#id)) return ['beat'];
      this.#lead(from, term);
      this.#stand(now);
      return ['request', 'follow', 'announce'];
    }
    if (this.role !== 'follower' || term < this.term) return [];
    this.#heardAt = now;
    this.#yielded = false;
    if (from === this.leader && term === this.term) return [];
    this.#lead(from, term);
    return ['follow', 'announce'];
  }

  /** The leader said something else. */
  heard(now: number): void {
    this.#heardAt = now;
  }

  /** Another tab says what it wants. */
  heardFollower(from: string, visible: boolean): void {
    this.#note(from, visible);
  }

  /** Another tab left. */
  heardBye(from: string): void {
    this.#watched.delete(from);
    if (from === this.leader) this.leader = '';
  }

  /** Somebody looks at the page, or nobody does any more. */
  seen(visible: boolean, now: number): Action[] {
    this.visible = visible;
    if (this.role === 'leader') return ['beat'];
    if (this.role !== 'follower') return [];
    // Whether the leader is silent is judged from now on: a page that slept has heard nothing for a reason.
    this.#listen(now);
    return ['announce'];
  }

  /** The person wants this tab to lead. */
  take(): Action[] {
    return this.role === 'follower' ? ['steal'] : [];
  }

  /** The timer. */
  tick(now: number): Action[] {
    const late = now > this.wakeAt + LATE_MS;
    if (this.role === 'leader') {
      this.wakeAt = now + BEAT_MS;
      return ['beat'];
    }
    if (this.role !== 'follower' || now < this.wakeAt) return [];
    if (late) {
      this.#listen(now);
      return ['announce'];
    }
    const silentAt = this.#heardAt + this.#patienceMs;
    if (now < silentAt) {
      this.wakeAt = silentAt;
      return [];
    }
    this.#listen(now);
    return this.visible ? ['steal'] : [];
  }

  #lead(from: string, term: number): void {
    this.leader = from;
    this.term = term;
  }

  #stand(now: number): void {
    this.role = 'follower';
    this.#listen(now);
  }

  #listen(now: number): void {
    this.#heardAt = now;
    this.wakeAt = this.visible ? now + this.#patienceMs : Number.POSITIVE_INFINITY;
  }

  #note(from: string, visible: boolean): void {
    if (visible) this.#watched.add(from);
    else this.#watched.delete(from);
  }
}
