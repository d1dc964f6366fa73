// The last inputs and actions of a core, for a bug report: one a line, secrets masked, and complete enough to be played
// back (`client-core/tests/replay.rs`). Kept here and not in the core, so that it outlives a trap.

/** One word of a line. */
export type Word = string | number;

/** Lines that are kept. */
const LINES = 200;

/** A ring of what happened. */
export class Recorder {
  readonly #head: Word[];
  readonly #lines: Word[][] = [];
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

  /** Everything that is kept, oldest first, under a line that says how the core was made and how much is missing. */
  report(): string {
    const first = Math.max(0, this.#count - LINES);
    const lines = [[...this.#head, first]];
    for (let index = first; index < this.#count; index += 1) lines.push(this.#lines[index % LINES] as Word[]);
    return lines.map((words) => words.join(' ')).join('\n');
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
