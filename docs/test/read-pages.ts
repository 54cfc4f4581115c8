import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const docsFolder = fileURLToPath(new URL('..', import.meta.url));

const NO_PAGES = new Set(['node_modules', 'generate', 'test', 'public', '.vitepress']);

/** Paths below docs/ of all pages that are there, with their text. A build writes those that git has not. */
export function allPages(): ReadonlyMap<string, string> {
  const walk = (folder: string): string[] =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return NO_PAGES.has(entry.name) ? [] : walk(path);
      return entry.name.endsWith('.md') ? [relative(docsFolder, path)] : [];
    });
  return new Map(
    walk(docsFolder)
      .sort()
      .map((path) => [path, readFileSync(join(docsFolder, path), 'utf8')]),
  );
}

const isGenerated = (path: string): boolean => /^move|^reference.(?!files)|^trust.benchmarks/.test(path);

/** The pages that people write. */
export const writtenPages = (): ReadonlyMap<string, string> =>
  new Map([...allPages()].filter(([path]) => !isGenerated(path)));

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
