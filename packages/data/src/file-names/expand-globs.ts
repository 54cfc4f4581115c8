import { readdirSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { globSync, isDynamicPattern } from 'tinyglobby';
import { statOf } from './stat-of.ts';

/** Folder entries that one pattern may visit: `/**` on a whole disk is a mistake. */
const MAX_ENTRIES = 1_000_000;

/**
 * The files that each name matches, sorted.
 * A name with `*`, `?`, `**`, `[…]` or `{a,b}` is a pattern, unless a file of that name exists. `*` and `?`
 * do not match a `/` or a leading dot.
 *
 * @throws QdyloraError MISSING_FILE if a pattern matches no file; BAD_CONFIG if it visits more than a million
 * entries.
 * @example
 * expandGlobs(['data/train-*.jsonl']); // [['data/train-00.jsonl', 'data/train-01.jsonl']]
 */
export function expandGlobs(names: readonly string[]): string[][] {
  return names.map((name) => {
    if (!isDynamicPattern(name) || statOf(name)) return [name];
    const files = matchesOf(name);
    if (files.length > 0) return files;
    throw new QdyloraError('MISSING_FILE', {
      where: name,
      problem: 'No file matches this pattern',
      nextStep:
        'Check the path: it is relative to the working directory. Quote the pattern, so that the shell ' +
        'leaves it alone.',
    });
  });
}

function matchesOf(pattern: string): string[] {
  const walk = new AbortController();
  let entries = 0;
  /** Counts the entries that the walk visits, and stops it above the limit. */
  const countedReaddir = ((...args: Parameters<typeof readdirSync>) => {
    const found = readdirSync(...args);
    entries += found.length;
    if (entries > MAX_ENTRIES) walk.abort();
    return found;
  }) as typeof readdirSync;
  const files = globSync(pattern, {
    absolute: isAbsolute(pattern),
    expandDirectories: false,
    fs: { readdirSync: countedReaddir },
    signal: walk.signal,
  });
  if (walk.signal.aborted)
    throw new QdyloraError('BAD_CONFIG', {
      where: pattern,
      problem: `The pattern visits more than ${MAX_ENTRIES} entries of folders`,
      nextStep: 'Begin the pattern with the folder that holds the data.',
    });
  return files.sort((a, b) => (a < b ? -1 : 1));
}
