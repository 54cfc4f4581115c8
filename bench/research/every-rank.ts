// Writes docs/research/every-rank.md: the template beside this file, with the numbers of results/*.jsonl.
//   node --conditions=source --import tsx bench/research/every-rank.ts
import { writeFileSync } from 'node:fs';
import { PAGE, renderedPage } from './rendered-page.ts';

writeFileSync(PAGE, renderedPage());
