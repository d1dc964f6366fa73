// The table of dials a minute: what is in it, and how it is written. Needs no package, so that a test can read it.

/** What happens to every dial. */
export const FAULTS = {
  refused: 'refused',
  dropped: 'accepted, then dropped',
  flapping: 'flapping',
  limit: 'over the limit',
  token: 'bad token',
};

/** What ours may dial in a minute, whatever the server does. */
export const MAX_PER_MINUTE = 15;

/** Where it stands in the package's README: what is before it, itself, what is after it. */
export const PLACE = /(<!-- storms -->\n)([\s\S]*?)(<!-- \/storms -->)/;

/** The results of clients by their names: of each fault the dials a minute, and whether the client has given up. */
export function tableOf(clients) {
  const cell = ({ perMinute, gaveUp }) => `${perMinute.toLocaleString('en')}${gaveUp ? ' ■' : ''}`;
  const results = Object.values(clients);
  const rows = Object.entries(FAULTS).map(([fault, title]) => [title, ...results.map((result) => cell(result[fault]))]);
  const names = Object.keys(clients);
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(['', ...names]), line(['---', ...names.map(() => '--:')]), ...rows.map(line)].join('\n');
}
