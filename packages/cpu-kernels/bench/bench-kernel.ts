import {
  hostData,
  createHostBackend,
  elementCount,
  runOp,
  type Arrays,
  type ArrayView,
  type Backend,
  type Op,
} from '@qdylora/contract';
import { describeDifference, type Bound } from '@qdylora/testing';
import { ceilingOf, createCpuBackend, type CpuBackend } from '../src/index.ts';
import { benchOptions } from './bench-options.ts';
import { benchRow, printRow } from './bench-row.ts';

export interface BenchCase<I, O, A> {
  readonly label: string;
  readonly inputs: I;
  readonly attributes: A;
  /** Accumulated outputs; their contents do not matter for time. */
  readonly suppliedOutputs?: Partial<O>;
  /**
   * Floating point operations (2 per multiply-add), compared with the FMA peak; or bytes moved, compared with
   * a copy.
   */
  readonly flops?: number;
  readonly bytes?: number;
  /**
   * How far from the reference (small cases) or from the `generic` level (large ones) an element may be;
   * default 1e-4 of the largest element.
   */
  readonly bound?: Bound;
}

/**
 * A case is checked against the TypeScript reference up to so many operations; above, against the generic
 * level, which the conformance tests tie to it.
 */
const REFERENCE_FLOPS = 2e8;

/**
 * Checks each case's answer, then prints its best and median time, rate, and the fraction of a ceiling
 * measured in the same run.
 */
export async function benchKernel<I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  cases: readonly BenchCase<I, O, A>[],
): Promise<void> {
  const { level, threads: threadCounts, only, json } = benchOptions();
  for (const threads of threadCounts) {
    using backend = await createCpuBackend({ numThreads: threads, level });
    for (const one of cases.filter(({ label }) => !only || label.includes(only))) {
      await checkAnswer(backend, op, one);
      measure(backend, op, one, json);
    }
  }
}

async function checkAnswer<I extends Arrays, O extends Arrays, A>(
  backend: CpuBackend,
  op: Op<I, O, A>,
  one: BenchCase<I, O, A>,
): Promise<void> {
  const small = (one.flops ?? one.bytes ?? 0) < REFERENCE_FLOPS;
  const other: Backend = small
    ? createHostBackend()
    : await createCpuBackend({ numThreads: backend.numThreads, level: 'generic' });
  other.memory.scoped(() =>
    backend.memory.scoped(() => {
      const want = runPlaced(other, op, one)() as Arrays;
      const got = runPlaced(backend, op, one)() as Arrays;
      for (const name of Object.keys(want)) {
        if (!want[name]) continue;
        const largest = (hostData(want[name]) as Float32Array).reduce(
          (most, x) => Math.max(most, Math.abs(x)),
          0,
        );
        const problem = describeDifference(
          `${op.name} ${one.label}`,
          { name, got: got[name]!, want: want[name] },
          one.bound ?? (() => 1e-4 * largest),
        );
        if (problem) throw new Error(problem);
      }
    }),
  );
  if (small) other.memory.dispose();
  else (other as CpuBackend).dispose();
}

/** The op's call on arrays in the backend's memory; outputs are made once. */
function runPlaced<I extends Arrays, O extends Arrays, A>(
  backend: Backend,
  op: Op<I, O, A>,
  { inputs, attributes, suppliedOutputs = {} }: BenchCase<I, O, A>,
): () => O {
  const place = (arrays: Arrays): Arrays =>
    Object.fromEntries(
      Object.entries(arrays).map(([name, view]) => {
        if (!view) return [name, view];
        const copy = backend.memory.allocate(view.dtype, view.shape) as ArrayView;
        backend.memory.write(copy, (hostData(view) as Float32Array).subarray(0, elementCount(view.shape)));
        return [name, copy];
      }),
    );
  const placed = place(inputs) as I;
  let outputs = runOp(backend, op, placed, attributes, place(suppliedOutputs as Arrays) as Partial<O>);
  return () => (outputs = runOp(backend, op, placed, attributes, outputs));
}

function measure<I extends Arrays, O extends Arrays, A>(
  backend: CpuBackend,
  op: Op<I, O, A>,
  one: BenchCase<I, O, A>,
  json: boolean,
): void {
  backend.memory.scoped(() => {
    const compute = (one.attributes as { computeDtype?: 'f32' | 'bf16' }).computeDtype ?? null;
    const peak = ceilingOf(backend, one.flops === undefined ? 'gbps' : (compute ?? 'f32'));
    const run = runPlaced(backend, op, one);
    const seconds: number[] = [];
    const peaks: number[] = [];
    for (let spent = 0; seconds.length < 5 || (spent < 0.7 && seconds.length < 400);) {
      if (seconds.length % 16 === 0) peaks.push(peak());
      const start = performance.now();
      run();
      seconds.push((performance.now() - start) / 1000);
      spent += seconds.at(-1)!;
    }
    printRow(
      benchRow(
        {
          op: op.name,
          shape: one.label,
          m: null,
          compute,
          threads: backend.numThreads,
          level: backend.level,
        },
        { work: one, seconds, ceilings: peaks },
      ),
      json,
    );
  });
}
