// Writes the pages of docs/research: the templates beside this file, with the numbers of results/*.jsonl.
//   node --conditions=source --import tsx bench/research/write-pages.ts
import { writeFileSync } from 'node:fs';
import { PAGE_NAMES, pageUrl, renderedPage } from './research-pages.ts';
import { allResults } from './results.ts';

const results = allResults();
for (const name of PAGE_NAMES) writeFileSync(pageUrl(name), renderedPage(name, results));
