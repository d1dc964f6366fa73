// What the page shows, as one decision: connection and feed in, one state out.
//
// The components only draw a state; which one it is, and in which words, is decided here, where it can be tested
// without a browser.

/** Something went wrong, in the words of the SDK. */
export interface Problem {
  /** What programs match on. */
  code: string;
  /** What happened. */
  message: string;
  /** What to do about it; may be empty. */
  hint: string;
}

/** The connection as far as the page cares. */
export interface ConnectionView {
  /** `blocked` needs a person; everything else goes on by itself. */
  phase: 'connecting' | 'live' | 'waiting' | 'offline' | 'blocked';
  /** Attempts since the connection was last up; 0 while it is. */
  attempt: number;
  /** When the next attempt is made, or `null`. */
  retryAt: number | null;
  /** What the connection complains about. */
  problem: Problem | null;
}

/** The feed as far as the page cares. */
export interface FeedView {
  /** As the SDK names it. */
  status: 'idle' | 'connecting' | 'live' | 'stale' | 'error';
  /** Whether a signal is there to show. */
  hasData: boolean;
  /** What the feed complains about. */
  problem: Problem | null;
}

/** A message above the card, with what the reader can do. */
export interface Notice {
  /** How it is drawn, and whether it interrupts a screen reader. */
  tone: 'info' | 'warning' | 'error';
  /** One line. */
  title: string;
  /** One or two sentences. */
  text: string;
  /** Counted down to, when there is a next attempt. */
  retryAt?: number;
  /** The buttons. */
  actions: ('retry' | 'new-wallet' | 'reload')[];
}

/** What the card shows. */
export type CardState = 'skeleton' | 'waiting' | 'signal' | 'outdated' | 'empty';

/** The whole page in two values. */
export interface View {
  card: CardState;
  notice: Notice | null;
}

/** Why trying again by itself does not help; everything else is the sign-in's trouble. */
const blockedTitles: Record<string, string> = {
  replaced: 'Another window took this connection over',
  stopped: 'The gateway closed the connection for good',
  forbidden: 'This wallet has no access',
};

/** Decides what the page shows. */
export function viewOf(connection: ConnectionView, feed: FeedView): View {
  const problem = connection.problem ?? feed.problem;
  const rest: CardState = feed.hasData ? 'outdated' : 'skeleton';
  if (problem?.code === 'wasm_failed') return { card: 'empty', notice: wasmNotice(problem) };
  if (connection.phase === 'blocked')
    return { card: feed.hasData ? 'outdated' : 'empty', notice: blockedNotice(problem) };
  if (connection.phase === 'offline') return { card: rest, notice: offlineNotice() };
  if (connection.phase !== 'live')
    return { card: rest, notice: reconnectNotice(connection, feed.hasData, problem) };
  if (feed.status === 'error') return { card: rest, notice: feedNotice(problem) };
  if (feed.status === 'stale') return { card: rest, notice: staleNotice() };
  return { card: feed.hasData ? 'signal' : 'waiting', notice: null };
}

function wasmNotice(problem: Problem): Notice {
  return {
    tone: 'error',
    title: 'The client could not be loaded',
    text: words(problem),
    actions: ['reload'],
  };
}

function blockedNotice(problem: Problem | null): Notice {
  return {
    tone: 'error',
    title: blockedTitles[problem?.code ?? ''] ?? 'The gateway refused the sign-in',
    text: problem ? words(problem) : 'It gave no reason.',
    actions: ['retry', 'new-wallet'],
  };
}

function offlineNotice(): Notice {
  return {
    tone: 'warning',
    title: 'This device is offline',
    text: 'The page connects again by itself, and asks for every signal that it missed.',
    actions: ['retry'],
  };
}

function reconnectNotice(
  connection: ConnectionView,
  hadData: boolean,
  problem: Problem | null,
): Notice | null {
  // The first attempt is not news: the skeleton says it.
  if (!hadData && connection.attempt <= 1 && !problem) return null;
  const notice: Notice = {
    tone: 'warning',
    title: hadData ? 'Connection lost, reconnecting' : 'Not connected yet',
    text: problem
      ? words(problem)
      : hadData
        ? 'Nothing is lost: signals of the meantime are asked for when the connection is back.'
        : 'The gateway does not answer. It may be starting.',
    actions: connection.phase === 'waiting' ? ['retry'] : [],
  };
  return connection.retryAt === null ? notice : { ...notice, retryAt: connection.retryAt };
}

function feedNotice(problem: Problem | null): Notice {
  return {
    tone: 'error',
    title: 'This feed is not available',
    text: problem ? words(problem) : 'The gateway refused the subscription.',
    actions: ['retry'],
  };
}

function staleNotice(): Notice {
  return {
    tone: 'warning',
    title: 'The next signal is overdue',
    text: 'The connection is up, but the feed is silent. What is shown below is old: do not act on it.',
    actions: [],
  };
}

/** What happened and what to do, as sentences: errors of machines often end without a full stop. */
function words({ message, hint }: Problem): string {
  const sentences = [message, hint].filter((text) => text !== '');
  return sentences.map((text) => (/[.!?]$/.test(text) ? text : `${text}.`)).join(' ');
}
