import { checkConformance, ALL_CASES } from '@qdylora/testing/conformance';
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

const emulator = await openEmulator();
const cubins = await openCubins();
const ptxFor = (target: string) => (source: string) =>
  Buffer.from(cubins.image(source, target)).toString('utf8');

/** Per target, schedules whose results must have equal bits. */
const SCHEDULES = [
  { target: 'compute_70', approximation: 0, seeds: [0] },
  {
    target: 'compute_80',
    approximation: 1,
    seeds: isDeep ? Array.from({ length: 20 }, (_, i) => i + 1) : [1, 2],
  },
  { target: 'compute_90', approximation: -1, seeds: [3] },
];

let groups: BackendGroup[] = [];
beforeAll(() => {
  groups = SCHEDULES.map(({ target, approximation, seeds }) => ({
    label: `PTX of ${target}`,
    lacks: isDeep ? ['float16'] : ['float16', 'large'],
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

for (const one of ALL_CASES.filter(({ op }) => ops.has(op.name)))
  test.skipIf(!emulator)(`${one.op.name} agrees with its reference ${one.title}`, () =>
    checkConformance(groups, [one], {
      numRuns: !isDeep && SINGLE_RUNS.includes(one.op.name) ? 1 : numRuns,
      withEdges: isDeep || !LARGE_EDGES.includes(one.op.name),
      ...(!isDeep && { seed: 1 }),
    }),
  );

test('there are cases of every op that has a kernel', () => {
  const covered = new Set(ALL_CASES.map(({ op }) => op.name));
  expect([...ops].filter((name) => !covered.has(name))).toEqual([]);
  expect(ops.size).toBeGreaterThan(10);
});
