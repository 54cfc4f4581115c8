// Prints the results of a file of jobs as a Markdown table, and draws them.
//   node --conditions=source --import tsx bench/research/table.ts causes [--svg file.svg] [--against id]
// --draw (repeatable): the picture contains only these runs. --against: also compares the mean over all ranks
// of each run, cut and squeezed run with the mean of this run.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { holmBonferroni, pairedTTest, type PairedDifference } from '@qdylora/eval';
import type { Job } from './job.ts';
import { lossCurves } from './loss-curves.ts';
import { meanOverRanks, resultsOf, type Result, type RowSums } from './results.ts';

const lossesAt = ({ rowSums, rowCounts }: Result, rank: number) => ({
  sums: Float64Array.from(rowSums[rank]),
  counts: Float64Array.from(rowCounts),
});

/**
 * The dedicated run of a rank with the smallest loss and the same seed. Runs on the same rows, recognized by
 * their number of row tokens, come first.
 */
function bestDedicated(results: readonly Result[], run: Result, rank: number): Result | undefined {
  const dedicated = results
    .filter((result) => result.kind === 'dedicated' && result.seed === run.seed && rank in result.losses)
    .sort((left, right) => left.losses[rank] - right.losses[rank]);
  return dedicated.find((result) => rowTokensOf(result) === rowTokensOf(run)) ?? dedicated.at(0);
}

const rowTokensOf = ({ tokens, rowTokens = tokens }: Result): number => rowTokens;

/** One line per run: losses at all ranks, and their mean. */
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

/** Each nested run against the best dedicated run of each rank: paired by held-out row, Holm's correction. */
function comparisonTable(results: readonly Result[]): string[] {
  const nested = results.filter(({ kind }) => kind === 'nested');
  const comparisons = nested.flatMap((run) =>
    Object.keys(run.losses)
      .map(Number)
      .flatMap((rank) => {
        const dedicated = bestDedicated(results, run, rank);
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

/** Each finished slice against the unfinished one, and against the best dedicated run of its rank. */
function finishTable(results: readonly Result[]): string[] {
  const finishes = results.flatMap((run) =>
    (run.finished ?? []).map((slice) => {
      const losses = lossesAt({ ...run, rowSums: { [slice.rank]: slice.rowSums } }, slice.rank);
      const dedicated = bestDedicated(results, run, slice.rank);
      const differences = [run, dedicated].map(
        (other) => other && pairedTTest(losses, lossesAt(other, slice.rank)),
      );
      return { run, slice, differences };
    }),
  );
  const compared = finishes.flatMap(({ differences }) => differences.filter((each) => each !== undefined));
  const adjusted = holmBonferroni(compared.map(({ pValue }) => pValue));
  const adjustedOf = new Map(compared.map((difference, i) => [difference, adjusted[i]]));
  const cellOf = (difference: PairedDifference | undefined): string =>
    difference ? `${meanText(difference)} (p ${adjustedOf.get(difference)!.toPrecision(2)})` : '';
  return [
    '| finished slice | rank | steps | rate | moments | loss | against before | against dedicated |',
    '|---|---|---|---|---|---|---|---|',
    ...finishes.map(({ run, slice: { rank, steps, learningRate, moments = 'zero', loss }, differences }) =>
      rowOf([
        ...[run.id, rank, steps, learningRate ?? rateOf(run), moments, loss.toFixed(4)].map(String),
        ...differences.map(cellOf),
      ]),
    ),
  ];
}

const rateOf = ({ finish }: Job): number => [finish ?? []].flat()[0].learningRate;

/** Held-out losses of one adapter, or of several, at all ranks. */
interface Contender {
  readonly name: string;
  readonly rowSums: RowSums;
  readonly rowCounts: readonly number[];
}

/** The run itself, its cuts and its squeezed adapters. A cut at the largest rank is the run itself. */
const contendersOf = ({ id, rowSums, rowCounts, cut = {}, squeezed }: Result): Contender[] => [
  { name: id, rowSums, rowCounts },
  ...Object.entries(cut).map(([way, { rowSums: cutSums }]) => ({
    name: `${id}, cut by ${way}`,
    rowSums: { ...rowSums, ...cutSums },
    rowCounts,
  })),
  ...(squeezed ? [{ name: `${id}, squeezed`, rowSums: squeezed.rowSums, rowCounts }] : []),
];

/** The mean over ranks of the losses of each held-out row. */
const meanLosses = ({ rowSums, rowCounts }: Omit<Contender, 'name'>, ranks: readonly number[]) => ({
  sums: meanOverRanks(rowSums, ranks),
  counts: Float64Array.from(rowCounts),
});

/** Each contender that was measured at all ranks of the run `id` against this run, by the mean over ranks. */
function meansTable(results: readonly Result[], id: string): string[] {
  const against = results.find((result) => result.id === id);
  if (!against) throw new Error(`There is no result of ${id}.`);
  const reference = meanLosses(against, against.ranks);
  const comparisons = results
    .flatMap(contendersOf)
    .filter(({ name, rowSums }) => name !== id && against.ranks.every((rank) => rank in rowSums))
    .map((contender) => ({
      name: contender.name,
      difference: pairedTTest(meanLosses(contender, against.ranks), reference),
    }));
  const adjusted = holmBonferroni(comparisons.map(({ difference }) => difference.pValue));
  return [
    `| mean over ranks, against ${id} | difference | standard error | p (Holm) |`,
    '|---|---|---|---|',
    ...comparisons.map(({ name, difference }, i) =>
      comparisonRow([name], difference, [adjusted[i].toPrecision(2)]),
    ),
  ];
}

const comparisonRow = (
  before: readonly string[],
  { mean, standardError }: PairedDifference,
  after: readonly string[],
): string => rowOf([...before, signed(mean), standardError.toFixed(4), ...after]);

const signed = (value: number): string => `${value > 0 ? '+' : ''}${value.toFixed(4)}`;

const meanText = ({ mean, standardError }: PairedDifference): string =>
  `${signed(mean)} ± ${standardError.toFixed(4)}`;

const rowOf = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { svg: { type: 'string' }, draw: { type: 'string', multiple: true }, against: { type: 'string' } },
});
const results = positionals.flatMap(resultsOf);
console.log([...lossTable(results), '', ...comparisonTable(results)].join('\n'));
if (results.some(({ finished }) => finished)) console.log(['', ...finishTable(results)].join('\n'));
if (values.against !== undefined) console.log(['', ...meansTable(results, values.against)].join('\n'));
if (values.svg !== undefined) {
  const drawn = results.filter(({ id }) => values.draw?.includes(id) ?? true);
  writeFileSync(
    values.svg,
    lossCurves(drawn.map(({ id, kind, losses }) => ({ name: id, isPoint: kind === 'dedicated', losses }))),
  );
}
