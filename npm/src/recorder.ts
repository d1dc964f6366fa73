// The last inputs and actions of a core, for a bug report: one a line, secrets masked, and complete enough to be played
// back (`client-core/tests/replay.rs`). Kept here and not in the core, so that it outlives a trap.

/** One word of a line. */
export type Word = string | number;

/** Lines that are kept. */
const LINES = 200;

/**
 * Of a signal: when, socket, feed, `seq`, `prev` and verdict. Its numbers are kept apart, because there may be thousands in
 * a second; a line of words has no time there.
 */
const NUMBERS = 6;
const SIZE = LINES * NUMBERS;
const WORDS = -1;
const VERDICTS = ['drop', 'deliver', 'gap', 'backfill'];

/** A ring of what happened. */
export class Recorder {
  readonly #head: Word[];
  readonly #lines: Word[][] = [];
  readonly #numbers = new Float64Array(SIZE);
  /** Where the numbers of the next line belong, and how often the ring went round. */
  #place = 0;
  #rounds = 0;

  /** For a core that was made like this. */
  constructor(head: Word[]) {
    this.#head = head;
  }

  /** Something happened. Cheap: words become text only when somebody asks. */
  note(words: Word[]): void {
    const place = this.#next();
    this.#numbers[place] = WORDS;
    this.#lines[place / NUMBERS] = words;
  }

  /** A signal came. The answer is where {@link verdict} belongs. */
  signal(at: number, socket: number, feed: number, seq: number, prev: number): number {
    const place = this.#next();
    const numbers = this.#numbers;
    numbers[place] = at;
    numbers[place + 1] = socket;
    numbers[place + 2] = feed;
    numbers[place + 3] = seq;
    numbers[place + 4] = prev;
    // Until the core has answered.
    numbers[place + 5] = WORDS;
    return place + 5;
  }

  /** What became of it. */
  verdict(place: number, verdict: number): void {
    this.#numbers[place] = verdict;
  }

  /** Everything that is kept, oldest first, under a line that says how the core was made and how much is missing. */
  report(): string {
    const count = this.#rounds * LINES + this.#place / NUMBERS;
    const first = Math.max(0, count - LINES);
    const lines = [[...this.#head, first]];
    for (let index = first; index < count; index += 1) lines.push(this.#line(index % LINES));
    return lines.map((words) => words.join(' ')).join('\n');
  }

  #next(): number {
    const place = this.#place;
    this.#place = place + NUMBERS;
    if (this.#place === SIZE) {
      this.#place = 0;
      this.#rounds += 1;
    }
    return place;
  }

  #line(line: number): Word[] {
    const [at = 0, socket = 0, feed = 0, seq = 0, prev = 0, verdict = 0] = this.#numbers.slice(line * NUMBERS);
    if (at === WORDS) return this.#lines[line] as Word[];
    return [Math.floor(at), '> signal', socket, feed, seq, prev, VERDICTS[verdict] ?? ''];
  }
}

/** A number that tells whether two tokens are the same, and nothing else about them. */
export function mark(token: string): number {
  let hash = 0;
  for (let index = 0; index < token.length; index += 1) hash = (hash * 31 + token.charCodeAt(index)) & 0xffff;
  return hash;
}

/** A frame without the token and the session in it. */
export function masked(text: string): string {
  return text.replace(/("(?:token|session)"\s*:\s*")(?:[^"\\]|\\.)*/g, '$1…');
}
