// The few drawings of the page. They repeat what words say, so assistive technology skips them.

import type { Side } from 'tidegate/protocol';

/** The mark: a gate in the tide. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path className="mark-gate" d="M9.5 4v7M9.5 21v7M22.5 4v7M22.5 21v7" />
      <path className="mark-tide" d="M2.5 16c3.4-5 6.7-5 10 0s6.7 5 10 0c1.8-2.7 4-4 7-3.4" />
    </svg>
  );
}

const sideShapes: Record<Side, string> = {
  LONG: 'M8 3.2 13 9.6H9.7V13H6.3V9.6H3z',
  SHORT: 'M8 12.8 3 6.4h3.3V3h3.4v3.4H13z',
  NEUTRAL: 'M3 6.7h10v2.6H3z',
};

/** Up, down, or a dash. */
export function SideIcon({ side }: { side: Side }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" aria-hidden="true">
      <path fill="currentColor" d={sideShapes[side]} />
    </svg>
  );
}

const strokes = {
  sun: 'M8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.4l1.1 1.1M11.5 11.5l1.1 1.1M12.6 3.4l-1.1 1.1M4.5 11.5l-1.1 1.1M8 5.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6z',
  moon: 'M13.2 9.7A5.6 5.6 0 0 1 6.3 2.8a5.6 5.6 0 1 0 6.9 6.9z',
  pause: 'M5.5 3.5v9M10.5 3.5v9',
  play: 'M5 3.2v9.6l7.6-4.8z',
  chevron: 'M4 6.2 8 10.2l4-4',
  warning: 'M8 2.2 14.4 13.4H1.6zM8 6.6v3.2M8 11.6v.1',
  offline: 'M2.2 6.3a9 9 0 0 1 11.6 0M4.6 8.9a5.4 5.4 0 0 1 6.8 0M8 12.2v.1M2.5 2.5l11 11',
} as const;

/** A line drawing by name. */
export function Icon({ name }: { name: keyof typeof strokes }) {
  return (
    <svg className="icon icon-line" viewBox="0 0 16 16" aria-hidden="true">
      <path d={strokes[name]} />
    </svg>
  );
}
