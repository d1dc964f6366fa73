// Writes docs/api.md: what the package exports, as its types say it. Usage: node scripts/api.mjs, after a build.
//
// Read through the compiler, so that an export that was renamed or re-exported is found where it is declared.

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { API, SymbolFlags } from 'typescript/unstable/sync';

const folder = fileURLToPath(new URL('..', import.meta.url));

const ENTRIES = [
  ['tidegate', 'dist/index.d.ts'],
  ['tidegate/react', 'dist/react/index.d.ts'],
  ['tidegate/protocol', 'dist/protocol.d.ts'],
];

const HEAD = `# API reference

Generated from the types of the package by \`npm run api\`; a test compares. For a way in, read
[React in five minutes](react.md).
`;

/** The text of docs/api.md. */
export function reference() {
  const api = new API({ cwd: folder });
  try {
    const snapshot = api.updateSnapshot({ openFiles: ENTRIES.map(([, file]) => folder + file) });
    const seen = new Set();
    return [HEAD, ...ENTRIES.map(([name, file]) => entry(snapshot, name, folder + file, seen))].join('\n');
  } finally {
    api.close();
  }
}

function entry(snapshot, name, file, seen) {
  const project = snapshot.getDefaultProjectForFile(file);
  const { checker, program } = project;
  const source = program.getSourceFile(file);
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(source));
  // What can be called first, then what it is called with.
  const all = exported.map((symbol) => [symbol.name, resolved(checker, symbol)]).filter(([, { id }]) => !seen.has(id));
  const values = all.filter(([, symbol]) => symbol.flags & SymbolFlags.Value);
  const types = all.filter(([, symbol]) => !(symbol.flags & SymbolFlags.Value));
  for (const [, { id }] of all) seen.add(id);
  const list = [...values, ...types];
  const index = list.map(([title]) => `[${title}](#${title.toLowerCase()})`).join(' · ');
  return [`## ${name}\n`, `${index}\n`, ...list.map(([title, symbol]) => section(project, symbol, title))].join('\n');
}

function section(project, symbol, name) {
  const declarations = symbol.declarations.map((handle) => declarationOf(handle.resolve(project)));
  const doc = plain(symbol.getDocumentationComment(project.checker)).trim();
  return [`### ${name}\n`, doc && `${doc}\n`, '```ts', ...declarations, '```\n'].filter(Boolean).join('\n');
}

function resolved(checker, symbol) {
  return symbol.flags & SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** A declaration as it is written, with the comments of its members but without what is private. */
function declarationOf(node) {
  // A constant is declared inside a list inside a statement.
  const whole = node.parent?.parent?.declarationList ? node.parent.parent : node;
  const text = whole.getSourceFile().text.slice(whole.getStart(), whole.end);
  return plain(text)
    .replace(/^export (declare )?/, '')
    .replace(/\n +#private;/, '')
    .replace(/^( +)/gm, (indent) => indent.slice(indent.length / 2));
}

/** Links to other declarations as their names. */
function plain(text) {
  return text.replace(/\{@link (\S+?)\}/g, '`$1`');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(fileURLToPath(new URL('../../docs/api.md', import.meta.url)), reference());
}
