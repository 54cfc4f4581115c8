import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { statOf } from './stat-of.ts';

/** Entries of folders that one pattern may look at: `/**` on a whole disk is a slip of the hand. */
const MAX_ENTRIES = 1_000_000;

const OTHER_PATTERNS = /[[{]/;

/**
 * What else to do about a name that is not there, where it has other signs of a shell's patterns; ''
 * elsewhere.
 */
export const patternHint = (name: string): string =>
  OTHER_PATTERNS.test(name)
    ? ' Patterns have *, ? and **, no brackets and braces: give several names instead.'
    : '';

const hasWildcard = (text: string): boolean => /[*?]/.test(text);

/**
 * Names with `*`, `?` and `**` as the files that they match, by name; other names, and names of files that
 * exist with such characters, stay as they are.
 * `*` and `?` do not cross a `/` and do not match a leading dot; `**` is any number of folders.
 *
 * @throws QdyloraError MISSING_FILE where a pattern matches no file; BAD_CONFIG where it would walk through
 * more than a million entries.
 * @example
 * expandGlobs(['data/train-*.jsonl']); // ['data/train-00.jsonl', 'data/train-01.jsonl']
 */
export function expandGlobs(names: readonly string[]): string[][] {
  return names.map((name) => {
    if (!hasWildcard(name) || statOf(name)) return [name];
    const found = matchesOf(name);
    if (found.length > 0) return found;
    throw new QdyloraError('MISSING_FILE', {
      where: name,
      problem: 'expected at least one file for the pattern, got none',
      nextStep:
        `Check the path: it is relative to the working directory; quote it, so that the shell ` +
        `leaves it alone.${patternHint(name)}`,
    });
  });
}

function matchesOf(pattern: string): string[] {
  const [first = '', ...rest] = pattern.split('/');
  const budget = { left: MAX_ENTRIES, pattern };
  const found = first === '' ? matchesIn('/', rest, budget) : matchesIn('', [first, ...rest], budget);
  return [...new Set(found)].sort((a, b) => (a < b ? -1 : 1));
}

function matchesIn(
  folder: string,
  [part, ...rest]: readonly string[],
  budget: { left: number; pattern: string },
): string[] {
  if (part === undefined) return [];
  const isLast = rest.length === 0;
  const below = (name: string): string => (folder === '' ? name : join(folder, name));
  if (!hasWildcard(part)) return isLast ? ifFile(below(part)) : matchesIn(below(part), rest, budget);
  const entries = entriesOf(folder, budget);
  if (part === '**') {
    const deeper = entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .flatMap(({ name }) => matchesIn(below(name), [part, ...rest], budget));
    return [...matchesIn(folder, isLast ? ['*'] : rest, budget), ...deeper];
  }
  const matches = wildcard(part);
  const names = entries
    .map(({ name }) => name)
    .filter((name) => matches.test(name) && (!name.startsWith('.') || part.startsWith('.')));
  return names.flatMap((name) =>
    isLast ? ifFile(below(name)) : isFolder(below(name)) ? matchesIn(below(name), rest, budget) : [],
  );
}

function entriesOf(folder: string, budget: { left: number; pattern: string }) {
  let entries;
  try {
    entries = readdirSync(folder || '.', { withFileTypes: true });
  } catch {
    return []; // no folder, or none that may be read: nothing in it matches
  }
  budget.left -= entries.length;
  if (budget.left < 0)
    throw new QdyloraError('BAD_CONFIG', {
      where: budget.pattern,
      problem: `expected a pattern over at most ${MAX_ENTRIES} entries of folders, got more`,
      nextStep: 'Begin the pattern with the folder that holds the data.',
    });
  return entries;
}

const ifFile = (path: string): string[] => (statOf(path)?.isFile() ? [path] : []);

const isFolder = (path: string): boolean => statOf(path)?.isDirectory() ?? false;

const wildcard = (part: string): RegExp =>
  new RegExp(
    `^${part
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(/\*+/g, '.*')
      .replaceAll('?', '.')}$`,
    'su',
  );
