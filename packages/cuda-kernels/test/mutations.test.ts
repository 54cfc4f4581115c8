import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { createRng } from '@qdylora/contract';
import type { AttentionAttributes } from '@qdylora/tensor';
import { afterAll, expect, test } from 'vitest';
import { openCubins } from '../src/index.ts';
import { branchCalls, sharpened, tensorCalls, tileCalls } from './attention-calls.ts';
import { openEmulator } from './emulator.ts';
import { withLargeTiles } from './large-tiles.ts';
import { createMutantTrials, type MutantTrials } from './mutant-trials.ts';
import { mutantsOf, type Mutant } from './mutants-of.ts';
import {
  deepCalls,
  edgeCalls,
  halvedCall,
  productTileCalls,
  smallCalls,
  wideCalls,
  type SmallCall,
} from './small-calls.ts';
import { SOURCES } from './sources.ts';
import { topClassCalls } from './top-class-calls.ts';

/** QDYLORA_DEEP=1: the bounds of all kernels too; prints what was caught, for mutants.tsv. */
const isDeep = process.env.QDYLORA_DEEP === '1';
const emulator = await openEmulator();
const cubins = await openCubins();
const texts = new Map<string, string>();
const ptxOf = (source: string): string => {
  const text = texts.get(source) ?? Buffer.from(cubins.image(source, 'compute_80')).toString('utf8');
  texts.set(source, text);
  return text;
};

/** A choice of those with barriers, whose small calls notice each of them. The deep run has all. */
const WITH_BARRIERS = ['adamw-8bit-step', 'dequantize-blockwise', 'quantize-rows', 'rms-norm'];

/**
 * Mutants that change nothing.
 * - `causal-attention.tensor`: each query sees itself, so a tile of queries has keys, and its copies are
 *   waited for with the first of them: nothing is left to wait for at the end.
 * - `linear`: the second pair of factors of a product is float32 (`a2`, `b2` of linear.cu), which `cp.async`,
 *   the copy of operands of two bytes as they are, never copies.
 */
const HARMLESS: Readonly<Record<string, readonly string[]>> = {
  'causal-attention.tensor': ['64Bf16', '128Bf16', '64F16', '128F16'].map(
    (tiles) => `wait queryGradientsTensor${tiles}: cp.async.wait_group 0;`,
  ),
  linear: ['productNtBf16', 'productNtF16', 'largeProductNtBf16', 'largeProductNtF16'].map(
    (kernel) => `wait ${kernel}: cp.async.wait_group 1;`,
  ),
};

/** Of sources with thousands of branches so many of each kernel are tried, drawn from a fixed seed. */
const BOUNDS_OF_KERNEL: Readonly<Record<string, number>> = {
  'causal-attention': 30,
  'causal-attention.backward': 20,
  'causal-attention.tensor': 20,
  linear: 8,
};

/** Instructions that a mutant runs at most, where its calls need more than others. */
const MOST_TRIED: Readonly<Record<string, number>> = {
  'causal-attention.tensor': 3e8,
  linear: 2e8,
  'linear-cross-entropy-top-k': 2e8,
};

/** A line of mutants.tsv: what was caught, and why the others survive. */
interface Row {
  readonly source: string;
  readonly mutants: number;
  /** All, or a sample of the bounds. */
  readonly tried: number;
  readonly caught: number;
  /** Survivors that no call can show. */
  readonly explained: number;
}

const ROWS: ReadonlyMap<string, Row> = new Map(
  readFileSync(new URL('mutants.tsv', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))
    .map(([source, ...numbers]) => {
      const [mutants, tried, caught, explained] = numbers.map(Number);
      return [source, { source, mutants, tried, caught, explained }];
    }),
);
/** Of the mutants that are not explained. */
const LEAST_SHARE = 0.95;

/** Of the mutants that are tried and not explained, the share that is caught. */
function shareCaught(rows: readonly Row[]): number {
  const sumOf = (field: 'tried' | 'caught' | 'explained'): number =>
    rows.reduce((sum, row) => sum + row[field], 0);
  return sumOf('caught') / (sumOf('tried') - sumOf('explained'));
}

/** Calls of each case, and of each list of sizes. */
const COUNTS = { ofCase: 12, ofSizes: 4 } as const;
/** Of products, each of which is thousands of instructions for each thread. */
const COUNTS_OF_PRODUCTS = { ofCase: 3, ofSizes: 2 } as const;
const CALLS_OF_EDGES = 32;
/** Rows and columns of the tiles of products, and the types of tensor cores. */
const [SMALL_TILE, LARGE_TILE] = [64, 128];
const TENSOR_TYPES = ['bf16', 'f16'] as const;
const PRODUCTS = ['adapted-linear', 'linear', 'linear-cross-entropy', 'linear-distillation', 'matmul-nf4'];

/** The same calls, and as calls in float32 and in both types of two bytes where the op has them. */
const inAllTypes = (calls: readonly SmallCall[]): SmallCall[] =>
  calls.flatMap((call) =>
    call.op.halves?.length ? [call, halvedCall(call, 'bf16'), halvedCall(call, 'f16')] : [call],
  );

/** Calls of the kernels that have no tensor cores. */
const attentionCallsOf = (ops: readonly string[]): SmallCall[] =>
  inAllTypes(
    (['f32', ...TENSOR_TYPES] as const)
      .flatMap((computeDtype) => [...branchCalls(computeDtype), ...tileCalls(computeDtype)])
      .filter(({ op, call }) => {
        const { headDim, computeDtype } = call.attributes as AttentionAttributes;
        return ops.includes(op.name) && (computeDtype === 'f32' || headDim > 128);
      })
      .map(sharpened),
  );

/** Products by tensor cores, which large tiles are for. */
function largeTileCalls(): SmallCall[] {
  const deep = deepCalls(SOURCES.linear, 1).filter(
    ({ call }) => (call.attributes as { computeDtype: string }).computeDtype !== 'f32',
  );
  const full = TENSOR_TYPES.flatMap((computeDtype) => productTileCalls(LARGE_TILE, computeDtype));
  return inAllTypes([...deep, ...full]);
}

/** The calls that reach most first. */
function callsOf(source: string): SmallCall[] {
  const ops = SOURCES[source];
  if (source === 'causal-attention.tensor') return inAllTypes(TENSOR_TYPES.flatMap(tensorCalls));
  if (source.startsWith('causal-attention')) return attentionCallsOf(ops);
  if (source === 'linear-cross-entropy-top-k') return topClassCalls();
  const { ofCase, ofSizes } = PRODUCTS.includes(source) ? COUNTS_OF_PRODUCTS : COUNTS;
  if (source === 'linear')
    return inAllTypes([
      ...deepCalls(ops, 1),
      ...TENSOR_TYPES.flatMap((computeDtype) => productTileCalls(SMALL_TILE, computeDtype)),
      ...productTileCalls(SMALL_TILE, 'f32'),
      ...wideCalls(['linear-weight-gradient'], 1),
    ]);
  return inAllTypes([
    ...edgeCalls(ops, CALLS_OF_EDGES),
    ...wideCalls(ops, ofSizes),
    ...deepCalls(ops, ofCase),
    ...smallCalls(ops, ofCase),
    ...smallCalls(ops, ofCase, { half: 'f16' }),
  ]);
}

/** Adds calls of a source's ops, all of which pass on the PTX as it is. */
async function addCalls(trials: MutantTrials, source: string): Promise<void> {
  if (source === 'linear') for (const call of largeTileCalls()) await trials.add(call, withLargeTiles);
  for (const call of callsOf(source)) await trials.add(call);
}

/** All mutants, or all but the bounds that are not in the sample. */
function sampleOf(source: string, mutants: readonly Mutant[]): Mutant[] {
  const count = BOUNDS_OF_KERNEL[source] ?? Infinity;
  const kernels = new Set(mutants.map(({ kernel }) => kernel));
  return [...kernels].flatMap((kernel) => {
    const ofKernel = mutants.filter((mutant) => mutant.kernel === kernel);
    const rng = createRng(1).named(kernel);
    const bounds = ofKernel
      .filter(({ kind }) => kind === 'bound')
      .toSorted((first, second) => rng.uniform(first.branch!) - rng.uniform(second.branch!));
    return [...ofKernel.filter(({ kind }) => kind !== 'bound'), ...bounds.slice(0, count)];
  });
}

interface Survivor {
  readonly mutant: Mutant;
  readonly launches: number;
}

async function findSurvivors(source: string, mutants: readonly Mutant[]): Promise<Survivor[]> {
  const trials = createMutantTrials({ emulator: emulator!, ptxOf, source, mostTried: MOST_TRIED[source] });
  await addCalls(trials, source);
  const survivors: Survivor[] = [];
  for (const mutant of mutants)
    if (!(await trials.problemOf(mutant))) survivors.push({ mutant, launches: trials.countLaunches(mutant) });
  return survivors;
}

const textOf = ({ kind, kernel, instruction }: Mutant): string => `${kind} ${kernel}: ${instruction}`;

/** Survivors that are no bounds, without those that are known to change nothing. */
function missedOf(source: string, survivors: readonly Survivor[]): string[] {
  const missed = survivors
    .map(({ mutant }) => mutant)
    .filter(({ kind }) => kind !== 'bound')
    .map(textOf);
  for (const harmless of HARMLESS[source] ?? []) {
    const place = missed.indexOf(harmless);
    if (place >= 0) missed.splice(place, 1);
  }
  return missed;
}

test.skipIf(!emulator || isDeep).each(WITH_BARRIERS)(
  'every barrier, mask and wait that is taken from %s is caught',
  async (source) => {
    const mutants = mutantsOf(ptxOf(source)).filter(({ kind }) => kind !== 'bound');
    expect(missedOf(source, await findSurvivors(source, mutants))).toEqual([]);
  },
);

const measured: Row[] = [];

const kernelSources = readdirSync(new URL('../src/kernels', import.meta.url), {
  recursive: true,
  encoding: 'utf8',
})
  .filter((name) => name.endsWith('.cu'))
  .map((name) => basename(name, '.cu'));

test('a deep run takes the safeguards from every source', ({ skip }) => {
  expect(new Set(Object.keys(SOURCES))).toEqual(new Set(kernelSources));
  skip(!isDeep, 'it takes hours: QDYLORA_DEEP=1 runs it, source by source');
});

test.skipIf(!emulator).each(isDeep ? Object.keys(SOURCES) : [])(
  'all that is taken from %s is caught, but for what mutants.tsv explains',
  async (source) => {
    const mutants = mutantsOf(ptxOf(source));
    const tried = sampleOf(source, mutants);
    const survivors = await findSurvivors(source, tried);
    const row: Row = {
      source,
      mutants: mutants.length,
      tried: tried.length,
      caught: tried.length - survivors.length,
      explained: ROWS.get(source)?.explained ?? 0,
    };
    measured.push(row);
    const lines = survivors.map(
      ({ mutant, launches }) => `${textOf(mutant)} (line ${mutant.line}, ${launches} launches)`,
    );
    console.log([Object.values(row).join('\t'), ...lines].join('\n'));
    expect(missedOf(source, survivors)).toEqual([]);
    expect(ROWS.has(source), `mutants.tsv lacks ${source}`).toBe(true);
    expect(shareCaught([row])).toBeGreaterThanOrEqual(LEAST_SHARE);
    const { caught = 0, ...expected } = ROWS.get(source) ?? {};
    expect(row).toMatchObject(expected);
    expect(row.caught).toBeGreaterThanOrEqual(caught);
  },
  7_200_000,
);

afterAll(() => {
  if (!isDeep) return;
  const rows = [...new Map([...ROWS, ...measured.map((row) => [row.source, row] as const)]).values()];
  console.log(`all ${rows.length} sources: ${(100 * shareCaught(rows)).toFixed(1)} % caught`);
});

test('the README names the sums of mutants.tsv', () => {
  const rows = [...ROWS.values()];
  const sums = (['mutants', 'tried', 'caught', 'explained'] as const).map(
    (field) => `${rows.reduce((sum, row) => sum + row[field], 0)} ${field}`,
  );
  const share = (100 * shareCaught(rows)).toFixed(1);
  expect(readFileSync(new URL('../README.md', import.meta.url), 'utf8')).toContain(
    `In all ${rows.length} lines: ${sums.join(', ')}: ${share} % of the others.`,
  );
});

test('at least 95 % of the mutants of each source are caught', () => {
  expect([...ROWS.keys()].toSorted()).toEqual(kernelSources.toSorted());
  for (const row of ROWS.values()) {
    expect(row.explained, row.source).toBeLessThanOrEqual(row.tried - row.caught);
    expect(shareCaught([row]), row.source).toBeGreaterThanOrEqual(LEAST_SHARE);
    const count = mutantsOf(ptxOf(row.source)).length;
    if (count !== row.mutants)
      console.log(`mutants.tsv is older than the archive: ${row.source} has ${count} mutants`);
  }
});
