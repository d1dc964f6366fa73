import { useNow } from '../use-now';

const RADIUS = 17;
const LENGTH = 2 * Math.PI * RADIUS;

interface CountdownProps {
  /** When the next signal is due, in Unix milliseconds; `null` while nobody knows. */
  dueAt: number | null;
  /** The time between two signals. */
  intervalMs: number;
}

/** A ring that empties until the next signal is due, with the seconds inside. */
export function Countdown({ dueAt, intervalMs }: CountdownProps) {
  // Five times a second: smooth enough for the ring, cheap enough to run for ever.
  const now = useNow(200);
  const left = dueAt === null ? null : dueAt - now;
  const share = left === null ? 0 : Math.min(1, Math.max(0, left / intervalMs));
  const words = left === null ? '–' : left > 0 ? String(Math.ceil(left / 1_000)) : '0';
  return (
    <div className="countdown" role="timer" aria-label="Seconds to the next signal">
      <svg viewBox="0 0 40 40" aria-hidden="true">
        <circle className="countdown-track" cx="20" cy="20" r={RADIUS} />
        <circle
          className="countdown-left"
          cx="20"
          cy="20"
          r={RADIUS}
          strokeDasharray={LENGTH}
          strokeDashoffset={LENGTH * (1 - share)}
        />
      </svg>
      <span>{words}</span>
    </div>
  );
}
