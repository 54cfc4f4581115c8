import { ALL_CASES, checkConformance, type ConformanceCase } from '@qdylora/testing/conformance';
import { beforeAll, expect, test } from 'vitest';
import { cudaKernels, openCubins } from '../src/index.ts';
import type { BackendGroup } from '@qdylora/testing';
import { createEmulatedBackend } from './emulated-backend.ts';
import { openEmulator } from './emulator.ts';

/** QDYLORA_DEEP=1: new random calls each time, twenty seeds, all calls by hand. */
const isDeep = process.env.QDYLORA_DEEP === '1';
const numRuns = isDeep ? 20 : 3;
/** Their random calls are large too. */
const SINGLE_RUNS = ['causal-attention', 'causal-attention-backward', 'layer-norm-backward'];
/** What is around the products is proved by the other cases. */
const FLOAT16_RUNS = 1;

const emulator = await openEmulator();
const cubins = await openCubins();
const ptxFor = (target: string) => (source: string) =>
  Buffer.from(cubins.image(source, target)).toString('utf8');

interface Schedule {
  readonly target: string;
  readonly approximation: number;
  readonly seeds: readonly number[];
}

/** Per target, schedules whose results must have equal bits. */
const SCHEDULES: readonly Schedule[] = [
  { target: 'compute_70', approximation: -1, seeds: [0] },
  {
    target: 'compute_80',
    approximation: 1,
    seeds: isDeep ? Array.from({ length: 20 }, (_, i) => i + 1) : [1, 2],
  },
  ...(isDeep ? [{ target: 'compute_80', approximation: -1, seeds: [3] }] : []),
];

/** Of the cases in float16: m8n8k4, m16n8k8 and m16n8k16. */
const FLOAT16_SCHEDULES: readonly Schedule[] = [
  { target: 'compute_70', approximation: 0, seeds: isDeep ? [0, 1, 2, 3] : [1] },
  { target: 'compute_75', approximation: 1, seeds: isDeep ? [0, 1, 2, 3] : [1] },
  { target: 'compute_80', approximation: -1, seeds: [2] },
];

const groupsOf = (schedules: readonly Schedule[]): BackendGroup[] =>
  schedules.map(({ target, approximation, seeds }) => ({
    label: `PTX of ${target}`,
    lacks: isDeep ? [] : ['large'],
    backends: seeds.map((seed) =>
      createEmulatedBackend({
        emulator: emulator!,
        ptxOf: ptxFor(target),
        seed,
        approximation,
        isSkewed: seed % 2 === 1,
      }),
    ),
  }));

let groups: BackendGroup[] = [];
let float16Groups: BackendGroup[] = [];
beforeAll(() => {
  groups = groupsOf(SCHEDULES);
  float16Groups = groupsOf(FLOAT16_SCHEDULES);
});

const ops = new Set(
  cudaKernels({ launch: () => undefined, withScratch: () => undefined }).map(({ op }) => op.name),
);
/** Their calls by hand are larger than the caches of a processor: minutes in the emulator. */
const LARGE_EDGES = [
  'adapted-linear',
  'adapted-linear-backward',
  'causal-attention',
  'causal-attention-backward',
  'dequantize-blockwise',
  'layer-norm-backward',
  'linear',
  'matmul-nf4',
  'matmul-nf4-input-gradient',
  'sum-of-squares',
];

function numRunsOf({ op, needs }: ConformanceCase): number {
  if (isDeep) return numRuns;
  if (SINGLE_RUNS.includes(op.name)) return 1;
  return needs === 'float16' ? FLOAT16_RUNS : numRuns;
}

for (const one of ALL_CASES.filter(({ op }) => ops.has(op.name)))
  test.skipIf(!emulator)(`${one.op.name} agrees with its reference ${one.title}`, () =>
    checkConformance(one.needs === 'float16' ? float16Groups : groups, [one], {
      numRuns: numRunsOf(one),
      withEdges: isDeep || !LARGE_EDGES.includes(one.op.name),
      ...(!isDeep && { seed: 1 }),
    }),
  );

test('there are cases of every op that has a kernel', () => {
  const covered = new Set(ALL_CASES.map(({ op }) => op.name));
  expect([...ops].filter((name) => !covered.has(name))).toEqual([]);
  expect(ops.size).toBeGreaterThan(10);
});
