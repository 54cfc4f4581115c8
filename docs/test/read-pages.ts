import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const docsFolder = fileURLToPath(new URL('..', import.meta.url));

const NO_PAGES = new Set(['node_modules', 'generate', 'test', 'public', '.vitepress', 'api', 'move']);

/** Paths below docs/ of the pages that people write, with their text. */
export function writtenPages(): ReadonlyMap<string, string> {
  const isGenerated = (path: string): boolean => /^reference.(?!files)|^trust.benchmarks/.test(path);
  const walk = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return NO_PAGES.has(entry.name) ? [] : walk(path);
      return entry.name.endsWith('.md') ? [relative(docsFolder, path)] : [];
    });
  return new Map(
    walk(docsFolder)
      .filter((path) => !isGenerated(path))
      .sort()
      .map((path) => [path, readFileSync(join(docsFolder, path), 'utf8')]),
  );
}

export interface CodeBlock {
  readonly language: string;
  /** What stands behind the language: `output`, `skip="…"`. */
  readonly info: string;
  readonly text: string;
  readonly line: number;
}

export function codeBlocks(page: string): CodeBlock[] {
  return [...page.matchAll(/^```(\w+)([^\n]*)\n([\s\S]*?)^```$/gm)].map((match) => ({
    language: match[1],
    info: match[2].trim(),
    text: match[3],
    line: page.slice(0, match.index).split('\n').length,
  }));
}

/** A page without its code, where nothing is a link or a heading. */
export const withoutCode = (page: string): string =>
  page
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/(`+)(?:(?!\1)[\s\S])*\1/g, (code) => code.replace(/[[\]()<>]/g, ' '));
