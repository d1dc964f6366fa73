// How far the page's clock is from the gateway's, so that a latency can be told although both may be wrong.

/** Latency beyond this is none: the signal was sent later on request, or belongs to another time (a replay). */
const PLAUSIBLE_MS = 10_000;

/** The gateway's clock as seen from here. */
export class Clock {
  /** Date here minus date there, of the message that travelled fastest. */
  offsetMs: number | undefined;

  /** A new connection: the clocks may have been set in the meantime. */
  reset(): void {
    this.offsetMs = undefined;
  }

  /** A message said which time it was when it was sent. */
  sample(serverTime: number, now: number): void {
    if (Number.isNaN(serverTime)) return;
    this.offsetMs = Math.min(this.offsetMs ?? Number.POSITIVE_INFINITY, now - serverTime);
  }

  /** How long after `instant` (on the gateway's clock) it is now, beyond the fastest way. */
  latencyMs(instant: number, now: number): number | null {
    if (this.offsetMs === undefined) return null;
    const latencyMs = now - this.offsetMs - instant;
    if (latencyMs < -PLAUSIBLE_MS || latencyMs > PLAUSIBLE_MS) return null;
    return Math.max(0, latencyMs);
  }
}
