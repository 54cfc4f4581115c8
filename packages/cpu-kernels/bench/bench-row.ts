import { recordRows } from '@qdylora/testing/bench';

/** One measured line, as `--json` prints it. */
export interface BenchRow {
  readonly op: string;
  /**
   * `2048x2048` (rows x cols), `576+192+192x576` for layers that share their input, or a label of the op's
   * own bench.
   */
  readonly shape: string;
  /** Tokens; null where the op's own bench says it in the label. */
  readonly m: number | null;
  /** What products are computed in; null where nothing is multiplied. */
  readonly compute: 'f32' | 'bf16' | null;
  readonly threads: number;
  readonly level: string;
  /** Best and median milliseconds of one call. */
  readonly ms: number;
  readonly msMedian: number;
  /** Of the best repetition. */
  readonly gflops: number | null;
  readonly gbps: number | null;
  /**
   * Measured in the same run, between the repetitions: GFLOP/s where there are operations to count, else
   * GB/s.
   */
  readonly ceiling: number | null;
  readonly fraction: number | null;
  readonly fractionMedian: number | null;
  /** How many times faster we are: best against best, and median against median. */
  readonly rivals: Readonly<Record<string, number>>;
  readonly rivalsMedian: Readonly<Record<string, number>>;
  /** Rivals that this machine lacks, with the reason. */
  readonly leftOut: Readonly<Record<string, string>>;
}

export type PrintRow = (row: BenchRow) => void;

export interface Work {
  readonly flops?: number;
  readonly bytes?: number;
}

type Named = Pick<BenchRow, 'op' | 'shape' | 'm' | 'compute' | 'threads' | 'level'>;

interface Measurement {
  /** Of a call. */
  readonly work: Work;
  /** Per call, in any order. */
  readonly seconds: readonly number[];
  /** Measured between the calls. */
  readonly ceilings: readonly number[];
  /** Seconds per call of each rival. */
  readonly rivals?: Readonly<Record<string, readonly number[]>>;
  readonly leftOut?: BenchRow['leftOut'];
}

export function benchRow(
  named: Named,
  { work, seconds, ceilings, rivals = {}, leftOut = {} }: Measurement,
): BenchRow {
  const best = Math.min(...seconds);
  const middle = medianOf(seconds);
  const ceiling = Math.max(...ceilings);
  const gflops = perSecond(work.flops, best);
  const gbps = perSecond(work.bytes, best);
  const reached = gflops ?? gbps ?? NaN;
  const ratios = (
    against: (times: readonly number[]) => number,
    ourSeconds: number,
  ): Record<string, number> =>
    Object.fromEntries(
      Object.entries(rivals).map(([name, times]) => [name, rounded(against(times) / ourSeconds)]),
    );
  return {
    ...named,
    ms: rounded(best * 1e3),
    msMedian: rounded(middle * 1e3),
    gflops: gflops && rounded(gflops),
    gbps: gbps && rounded(gbps),
    ceiling: rounded(ceiling),
    fraction: rounded(reached / ceiling),
    fractionMedian: rounded((reached * best) / middle / ceiling),
    rivals: ratios((times) => Math.min(...times), best),
    rivalsMedian: ratios(medianOf, middle),
    leftOut,
  };
}

export const medianOf = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const perSecond = (work: number | undefined, seconds: number): number | null =>
  work === undefined ? null : work / seconds / 1e9;
export const rounded = (value: number): number => Number(value.toPrecision(4));

/** The row in the machine's results file, with its best times. */
const resultRow = (row: BenchRow): Record<string, string | number | null> => ({
  op: row.op,
  case: row.m === null ? row.shape : `${row.m} x ${row.shape}`,
  compute: row.compute,
  level: row.level,
  threads: row.threads,
  'ms, best': row.ms,
  'ms, median': row.msMedian,
  'GFLOP/s': row.gflops,
  'GB/s': row.gflops === null ? row.gbps : null,
  'of ceiling': row.fraction,
  ...Object.fromEntries(Object.entries(row.rivals).map(([name, ratio]) => [`× ${name}`, ratio])),
});

/** Prints the row as JSON, or as a line for people, and records it where that is asked for. */
export function printRow(row: BenchRow, json: boolean): void {
  recordRows([resultRow(row)]);
  if (json) return console.log(JSON.stringify(row));
  const percent = (fraction: number | null): string => `${(100 * (fraction ?? NaN)).toFixed(0)} %`;
  const rivals = Object.entries(row.rivals)
    .map(([name, ratio]) => `${name} ${ratio.toFixed(2)}× (${row.rivalsMedian[name].toFixed(2)})`)
    .join('  ');
  const rate =
    row.ceiling === null
      ? ''
      : `${(row.gflops ?? row.gbps ?? NaN).toFixed(1).padStart(6)} ` +
        `${row.gflops === null ? 'GB/s' : 'GFLOP/s'} = ${percent(row.fraction)} of ` +
        `${row.ceiling.toFixed(0)} (median ${percent(row.fractionMedian)})`;
  const name = row.m === null ? row.shape : `${row.m} x ${row.shape}`;
  const columns = [row.op.padEnd(26), name.padEnd(30), (row.compute ?? '').padEnd(4), row.level];
  const times = `${row.ms.toFixed(4).padStart(10)} ms (median ${row.msMedian.toFixed(4)})`;
  console.log(`${columns.join(' ')} ${row.threads}T ${times}  ${rate}${rivals && `  | ${rivals}`}`);
}
