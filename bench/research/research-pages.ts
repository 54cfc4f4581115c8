import { readFileSync } from 'node:fs';
import { renderPage } from './render-page.ts';
import type { Result } from './results.ts';

/** Pages of docs/research. The template of each lies beside this file. */
export const PAGE_NAMES = ['every-rank', 'how-the-default-was-found'] as const;

export type PageName = (typeof PAGE_NAMES)[number];

export const pageUrl = (name: PageName): URL => new URL(`../../docs/research/${name}.md`, import.meta.url);

/** The page with the numbers of the results. */
export const renderedPage = (name: PageName, results: readonly Result[]): string =>
  renderPage(readFileSync(new URL(`${name}.template.md`, import.meta.url), 'utf8'), results);
