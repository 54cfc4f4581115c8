// Prints the results of a file of jobs as a Markdown table, and draws them.
//   node --conditions=source --import tsx bench/research/table.ts causes [--svg file.svg]
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { holmBonferroni, pairedTTest, type PairedDifference } from '@qdylora/eval';
import type { Job } from './job.ts';
import { lossCurves } from './loss-curves.ts';

/** A line of results/<file of jobs>.jsonl: the job, and what came out. */
interface Result extends Job {
  readonly losses: Readonly<Record<string, number>>;
  readonly rowSums: Readonly<Record<string, readonly number[]>>;
  readonly rowCounts: readonly number[];
  readonly trainSeconds: number;
}

const resultsOf = (name: string): Result[] =>
  readFileSync(join(fileURLToPath(new URL('results', import.meta.url)), `${name}.jsonl`), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Result);

const lossesAt = ({ rowSums, rowCounts }: Result, rank: number) => ({
  sums: Float64Array.from(rowSums[rank]),
  counts: Float64Array.from(rowCounts),
});

/** The dedicated run with the smallest loss at a rank, if there is one. */
const bestDedicated = (results: readonly Result[], rank: number): Result | undefined =>
  results
    .filter((result) => result.kind === 'dedicated' && rank in result.losses)
    .sort((left, right) => left.losses[rank] - right.losses[rank])
    .at(0);

/** One line a run: losses at all ranks, and their mean. */
function lossTable(results: readonly Result[]): string[] {
  const ranks = [...new Set(results.flatMap((result) => result.ranks))].sort((left, right) => left - right);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  return [
    `| run | ${ranks.join(' | ')} | mean |`,
    `|---|${ranks.map(() => '---').join('|')}|---|`,
    ...results.map(({ id, losses }) => {
      const cells = ranks.map((rank) => losses[rank]?.toFixed(4) ?? '');
      const isWhole = ranks.every((rank) => rank in losses);
      return `| ${id} | ${cells.join(' | ')} | ${isWhole ? mean(Object.values(losses)).toFixed(4) : ''} |`;
    }),
  ];
}

/** Each nested run against the best dedicated run of a rank: paired by held-out row, Holm's correction. */
function comparisonTable(results: readonly Result[]): string[] {
  const nested = results.filter(({ kind }) => kind === 'nested');
  const comparisons = nested.flatMap((run) =>
    run.ranks.flatMap((rank) => {
      const dedicated = bestDedicated(results, rank);
      const difference = dedicated && pairedTTest(lossesAt(run, rank), lossesAt(dedicated, rank));
      return dedicated && difference ? [{ run, rank, dedicated, difference }] : [];
    }),
  );
  const adjusted = holmBonferroni(comparisons.map(({ difference }) => difference.pValue));
  return [
    '| run | rank | difference | standard error | p (Holm) | dedicated run |',
    '|---|---|---|---|---|---|',
    ...comparisons.map(({ run, rank, dedicated, difference }, i) =>
      comparisonRow([run.id, String(rank)], difference, [adjusted[i].toPrecision(2), dedicated.id]),
    ),
  ];
}

const comparisonRow = (
  before: readonly string[],
  { mean, standardError }: PairedDifference,
  after: readonly string[],
): string =>
  rowOf([...before, `${mean > 0 ? '+' : ''}${mean.toFixed(4)}`, standardError.toFixed(4), ...after]);

const rowOf = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { svg: { type: 'string' } },
});
const results = positionals.flatMap(resultsOf);
console.log([...lossTable(results), '', ...comparisonTable(results)].join('\n'));
if (values.svg !== undefined)
  writeFileSync(
    values.svg,
    lossCurves(results.map(({ id, kind, losses }) => ({ name: id, isPoint: kind === 'dedicated', losses }))),
  );
