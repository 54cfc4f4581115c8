import { holmBonferroni, pairedTTest, type ExampleLosses, type PairedDifference } from '@qdylora/eval';
import { meanByRow, meanOverRanks, type Result, type RowSums } from './results.ts';

/** All ranks of a nested run, and their mean. */
const COLUMNS = ['1', '2', '4', '8', '16', '32', '64', 'mean'];
const SIGNIFICANT = 0.05;

/** Held-out losses of one adapter. */
interface Measured {
  readonly rowSums: RowSums;
  readonly rowCounts: readonly number[];
}

/** A call of the template: `{{name argument argument …}}`. */
interface Call {
  readonly name: string;
  readonly parts: readonly string[];
}

const CALL = /\{\{([^}]+)\}\}/g;

/**
 * Fills a template of Markdown with numbers of results. An adapter is named by the id of its run, or
 * `id+cut:energy`, `id+squeezed`, `id+level:3`, `id+finish`, `id+finish:30:0.0004:kept` (steps, rate,
 * moments) or `id+budget:by-loss`. Names joined by commas are runs with several seeds over the same held-out
 * rows: each row has its mean loss. A rank is a number, or `mean`: the mean over all ranks.
 *
 * - `{{loss id rank}}`; `{{losses id rank …}}`: cells of a row, by default of all ranks and their mean;
 *   `{{list id rank …}}`: the same in a sentence.
 * - `{{difference id other rank}}`: difference of the mean token losses, paired by held-out row, ± standard
 *   error. Bold if it is not significant: p ≥ 0.05 after Holm over all differences of the same table (lines
 *   without a blank line between them).
 * - `{{p id other rank}}`: this p. The same table must also contain the difference.
 * - `{{gap id other rank}}`: the difference, for sentences. `{{percent id other rank}}`: relative to `other`.
 * - `{{tokens id}}`: tokens through the model.
 *
 * @throws Error that names the call, if a run, a rank or a call is unknown
 */
export function renderPage(template: string, results: readonly Result[]): string {
  const source = new ResultSource(results);
  return template
    .split(/(?<=\n)(?=\n)/)
    .map((block) => renderBlock(block, source))
    .join('');
}

function renderBlock(block: string, source: ResultSource): string {
  const calls = [...block.matchAll(CALL)].map(([, text]) => callOf(text));
  const compared = calls.filter(({ name }) => name === 'difference');
  const adjusted = holmBonferroni(compared.map(({ parts }) => source.difference(parts).pValue));
  const pOf = new Map(compared.map(({ parts }, i) => [parts.join(' '), adjusted[i]]));
  return block.replaceAll(CALL, (whole, text: string) => {
    try {
      return render(callOf(text), source, pOf);
    } catch (error) {
      throw new Error(`${whole}: ${(error as Error).message}`, { cause: error });
    }
  });
}

function callOf(text: string): Call {
  const [name, ...parts] = text.trim().split(/\s+/);
  return { name, parts };
}

function render({ name, parts }: Call, source: ResultSource, pOf: ReadonlyMap<string, number>): string {
  const p = (): number => {
    const value = pOf.get(parts.join(' '));
    if (value === undefined) throw new Error('The table has no such difference.');
    return value;
  };
  switch (name) {
    case 'loss':
      return source.loss(parts[0], parts[1]).toFixed(3);
    case 'losses':
      return source.cells(parts[0], parts.length > 1 ? parts.slice(1) : COLUMNS).join(' | ');
    case 'list':
      return new Intl.ListFormat('en-GB').format(source.cells(parts[0], parts.slice(1)));
    case 'difference': {
      const text = differenceText(source.difference(parts));
      return p() < SIGNIFICANT ? text : `**${text}**`;
    }
    case 'p':
      return pText(p());
    case 'gap':
      return differenceText(source.difference(parts));
    case 'percent':
      return percentText(source.difference(parts).mean / source.loss(parts[1], parts[2]));
    case 'tokens':
      return source.run(parts[0]).tokens.toLocaleString('en');
    default:
      throw new Error(`There is no call \`${name}\`.`);
  }
}

/** Looks up the losses that calls name. */
class ResultSource {
  readonly #runs: ReadonlyMap<string, Result>;

  constructor(results: readonly Result[]) {
    this.#runs = new Map(results.map((result) => [result.id, result]));
  }

  run(id: string): Result {
    const run = this.#runs.get(id);
    if (!run) throw new Error(`There is no result of ${id}.`);
    return run;
  }

  loss(name: string, rank: string): number {
    const { sums, counts } = this.#rowLosses(name, rank);
    const total = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0);
    return total(sums) / total(counts);
  }

  /** One cell per column; empty for a rank that was not measured. */
  cells(names: string, columns: readonly string[]): string[] {
    const runs = names.split(',').map((name) => this.#measured(name).rowSums);
    const isThere = (column: string): boolean =>
      (column === 'mean' ? ranksOf(COLUMNS) : [column]).every((rank) => runs.every((sums) => rank in sums));
    return columns.map((column) => (isThere(column) ? this.loss(names, column).toFixed(3) : ''));
  }

  difference([name, other, rank]: readonly string[]): PairedDifference {
    return pairedTTest(this.#rowLosses(name, rank), this.#rowLosses(other, rank));
  }

  #rowLosses(names: string, rank: string): ExampleLosses {
    const runs = names.split(',').map((name) => this.#rowLossesOfRun(name, rank));
    const [{ counts }] = runs;
    if (runs.some((run) => String(run.counts) !== String(counts)))
      throw new Error(`${names} were not measured over the same held-out rows.`);
    return { sums: meanByRow(runs.map(({ sums }) => sums)), counts };
  }

  #rowLossesOfRun(name: string, rank: string): ExampleLosses {
    const { rowSums, rowCounts } = this.#measured(name);
    const needed = rank === 'mean' ? ranksOf(COLUMNS) : [Number(rank)];
    for (const each of needed)
      if (!(each in rowSums)) throw new Error(`${name} was not measured at rank ${each}.`);
    return { sums: meanOverRanks(rowSums, needed), counts: Float64Array.from(rowCounts) };
  }

  #measured(name: string): Measured {
    const [id, part = ''] = name.split('+');
    const run = this.run(id);
    const [kind, ...details] = part.split(':');
    const rowSums = partOf(run, kind, details);
    if (!rowSums) throw new Error(`${id} has no result of ${part}.`);
    return { rowSums, rowCounts: run.rowCounts };
  }
}

/** The row sums of a run, or of adapters that were derived from it. */
function partOf(run: Result, kind: string, details: readonly string[]): RowSums | undefined {
  const [detail] = details;
  switch (kind) {
    case '':
      return run.rowSums;
    case 'cut': {
      const cut = run.cut?.[detail];
      return cut && { ...run.rowSums, ...cut.rowSums }; // a cut at the largest rank is the run
    }
    case 'squeezed':
      return run.squeezed?.rowSums;
    case 'level':
      return run.byLevel?.[detail]?.rowSums;
    case 'finish': {
      const slices = (run.finished ?? []).filter(({ steps, learningRate, moments }) =>
        details.every((each, i) => each === String([steps, learningRate, moments][i])),
      );
      if (new Set(slices.map(({ rank }) => rank)).size < slices.length)
        throw new Error('A rank was finished in several ways: name steps, rate and moments.');
      return Object.fromEntries(slices.map(({ rank, rowSums }) => [rank, rowSums]));
    }
    case 'budget': {
      const budgets = run.budgets?.filter((budget) => budget.kind === detail) ?? [];
      return Object.fromEntries(budgets.map(({ budgetRank, rowSums }) => [budgetRank, rowSums]));
    }
    default:
      return undefined;
  }
}

const ranksOf = (columns: readonly string[]): number[] => columns.map(Number).filter(Number.isFinite);

/** With a true minus sign; a value that rounds to 0 has no sign. */
function signed(value: number, digits: number): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return `${value < 0 ? '−' : '+'}${text}`;
}

/** With one more digit if the standard error would round to 0.000. */
function differenceText({ mean, standardError }: PairedDifference): string {
  const digits = standardError < 0.00095 ? 4 : 3;
  return `${signed(mean, digits)} ± ${standardError.toFixed(digits)}`;
}

/** With a no-break space. */
const percentText = (share: number): string => `${signed(100 * share, 1)}\u00a0%`;

const pText = (p: number): string => (p < 0.001 ? p.toExponential(0) : p.toPrecision(1));
