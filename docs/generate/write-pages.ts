// Writes all pages that are generated from the sources, except those of the API (write-api.ts). They
// are not in git:
// each build writes them, so that none is ever older than the code.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { benchmarkPage } from './benchmark-page.ts';
import { commandPage } from './command-page.ts';
import { errorPage } from './error-page.ts';
import { eventPage } from './event-page.ts';
import { fitsTable } from './fits-table.ts';
import { keyPage } from './key-page.ts';
import { movePages } from './move-pages.ts';
import { rankCurve, reportStyle } from './report-assets.ts';
import { reportPage } from './report-page.ts';

/** Path below docs/ → text. */
export function generatedPages(): Map<string, string> {
  return new Map([
    ['reference/keys.md', keyPage()],
    ['reference/commands.md', commandPage()],
    ['reference/events.md', eventPage()],
    ['reference/report.md', reportPage()],
    ['reference/errors.md', errorPage()],
    ['trust/benchmarks.md', benchmarkPage()],
    ...[...movePages()].map(([file, text]) => [`move/${file}`, text] as const),
  ]);
}

/** Parts of pages, and what the theme shows of a report: path below docs/ → text. */
const themeFiles = async (): Promise<Map<string, string>> =>
  new Map([
    ['.vitepress/theme/generated/rank-curve.json', rankCurve()],
    ['.vitepress/theme/generated/report.css', reportStyle()],
    ['.vitepress/theme/generated/fits.md', await fitsTable()],
  ]);

/** Also copies the model that pages run. Returns the number of pages. */
export async function writePages(folder: string): Promise<number> {
  const pages = generatedPages();
  for (const [path, text] of [...pages, ...(await themeFiles())]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const model = fileURLToPath(new URL('../../packages/embedded-base/model', import.meta.url));
  cpSync(model, join(folder, 'public/model'), { recursive: true });
  return pages.size;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const start = performance.now();
  const count = await writePages(fileURLToPath(new URL('..', import.meta.url)));
  console.log(`[pages] ${count} pages in ${((performance.now() - start) / 1000).toFixed(0)} s.`);
}
