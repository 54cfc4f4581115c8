import { KNOWN_MODELS } from '../workbench/models.ts';
import { planInPage } from '../workbench/plan-in-page.ts';
import { table } from './markdown.ts';

const SIZES = [8, 16, 24, 32] as const;
const GB = 1e9;

/** What the planner of the site says of the paper's models, for readers who search. */
export async function fitsTable(): Promise<string> {
  const rows: string[][] = [];
  for (const { name, config } of KNOWN_MODELS.filter((model) => model.name.includes('(paper)'))) {
    const options = { microBatchSize: 1, maxSeqLength: 512 };
    const { totalBytes } = await planInPage({ config, options, memoryBytes: 80 * GB });
    const fits = SIZES.map((size) => (totalBytes <= size * GB ? 'fits' : '–'));
    rows.push([name.replace(' (paper)', ''), `${(totalBytes / GB).toFixed(1)} GB`, ...fits]);
  }
  return table(['model', 'peak memory', ...SIZES.map((size) => `${size} GB`)], rows);
}
