import type { ConformanceCase } from '@qdylora/testing/conformance';

/** QDYLORA_DEEP=1: new random calls each time, twenty seeds, all calls by hand. */
export const isDeep = process.env.QDYLORA_DEEP === '1';

/** Runs of the same PTX whose results must have equal bits. */
export interface Schedule {
  readonly target: string;
  /** Approximate functions are off by so many steps in the last place. */
  readonly approximation: number;
  /** Orders of the threads; arrays begin at odd places where one is odd. */
  readonly seeds: readonly number[];
}

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

export const schedulesOf = ({ needs }: ConformanceCase): readonly Schedule[] =>
  needs === 'float16' ? FLOAT16_SCHEDULES : SCHEDULES;

const NUM_RUNS = isDeep ? 20 : 3;
/** Their random calls are large too. */
const SINGLE_RUNS = ['causal-attention', 'causal-attention-backward', 'layer-norm-backward'];
/** What is around the products is proved by the other cases. */
const FLOAT16_RUNS = 1;
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

/** Random calls of a case at most, and whether its calls by hand run too. */
export function callsOf({ op, needs }: ConformanceCase): { numRuns: number; withEdges: boolean } {
  if (isDeep) return { numRuns: NUM_RUNS, withEdges: true };
  const numRuns = SINGLE_RUNS.includes(op.name) ? 1 : needs === 'float16' ? FLOAT16_RUNS : NUM_RUNS;
  return { numRuns, withEdges: !LARGE_EDGES.includes(op.name) };
}
