// The last inputs and actions of a core, for a bug report: one a line, secrets masked, and complete enough to be played
// back (`client-core/tests/replay.rs`). Kept here and not in the core, so that it outlives a trap.

/** One word of a line. */
export type Word = string | number;

/** Lines that are kept. */
const LINES = 200;

/** In the place of a line: a signal, whose numbers are kept apart, because there may be thousands in a second. */
const SIGNAL: Word[] = [];
/** When, socket, feed, `seq`, `prev` and verdict. */
const NUMBERS = 6;
const VERDICTS = ['drop', 'deliver', 'gap', 'backfill'];

/** A ring of what happened. */
export class Recorder {
  readonly #head: Word[];
  readonly #lines: Word[][] = [];
  readonly #signals = new Float64Array(LINES * NUMBERS);
  #count = 0;

  /** For a core that was made like this. */
  constructor(head: Word[]) {
    this.#head = head;
  }

  /** Something happened. Cheap: words become text only when somebody asks. */
  note(words: Word[]): void {
    this.#lines[this.#count % LINES] = words;
    this.#count += 1;
  }

  /** A signal came. The answer is where {@link verdict} belongs. */
  signal(at: number, socket: number, feed: number, seq: number, prev: number): number {
    const line = this.#count % LINES;
    this.#count += 1;
    this.#lines[line] = SIGNAL;
    const place = line * NUMBERS;
    const signals = this.#signals;
    signals[place] = at;
    signals[place + 1] = socket;
    signals[place + 2] = feed;
    signals[place + 3] = seq;
    signals[place + 4] = prev;
    return place + 5;
  }

  /** What became of it. */
  verdict(place: number, verdict: number): void {
    this.#signals[place] = verdict;
  }

  /** Everything that is kept, oldest first, under a line that says how the core was made and how much is missing. */
  report(): string {
    const first = Math.max(0, this.#count - LINES);
    const lines = [[...this.#head, first]];
    for (let index = first; index < this.#count; index += 1) lines.push(this.#line(index % LINES));
    return lines.map((words) => words.join(' ')).join('\n');
  }

  #line(line: number): Word[] {
    const words = this.#lines[line] as Word[];
    if (words !== SIGNAL) return words;
    const [at = 0, socket = 0, feed = 0, seq = 0, prev = 0, verdict = 0] = this.#signals.slice(line * NUMBERS);
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
