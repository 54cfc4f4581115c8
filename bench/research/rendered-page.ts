import { readFileSync } from 'node:fs';
import { renderPage } from './render-page.ts';
import { allResults } from './results.ts';

export const PAGE = new URL('../../docs/research/every-rank.md', import.meta.url);

/** The page with the numbers of all results. */
export const renderedPage = (): string =>
  renderPage(readFileSync(new URL('every-rank.template.md', import.meta.url), 'utf8'), allResults());
