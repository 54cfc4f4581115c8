import { availableParallelism } from 'node:os';
import { createHostBackend, elementCount, elementsOf, runOp, type Arrays, type ArrayView, type Backend, type Op } from '@qdylora/contract';
import { describeDifference, type Bound } from '@qdylora/testing';
import { ceilingOf, createCpuBackend, type CpuBackend } from '../src/index.ts';

export interface BenchCase<I, O, A> {
  readonly label: string;
  readonly inputs: I;
  readonly attributes: A;
  /** Accumulated outputs; their contents do not matter for time. */
  readonly given?: Partial<O>;
  /** Floating point operations (2 per multiply-add), compared with the FMA peak; or bytes moved, compared with a copy. */
  readonly flops?: number;
  readonly bytes?: number;
  /** How far from the reference (small cases) or from the `generic` level (large ones) an element may be; default 1e-4 of the largest element. */
  readonly bound?: Bound;
}

/** A case is checked against the TypeScript reference up to so many operations; above, against the generic level, which the conformance tests tie to it. */
const REFERENCE_FLOPS = 2e8;

/** Checks each case's answer, then prints its best and median time, rate, and the fraction of a ceiling measured in the same run. */
export async function benchKernel<I extends Arrays, O extends Arrays, A>(op: Op<I, O, A>, cases: readonly BenchCase<I, O, A>[]): Promise<void> {
  const level = option('level'), threadCounts = option('threads')?.split(',').map(Number) ?? [1, availableParallelism()], only = option('only');
  for (const threads of [...new Set(threadCounts)]) {
    using backend = await createCpuBackend({ threads, level });
    for (const one of cases.filter(({ label }) => !only || label.includes(only))) {
      await checkAnswer(backend, op, one);
      measure(backend, op, one);
    }
  }
}

const option = (name: string): string | undefined => process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);

async function checkAnswer<I extends Arrays, O extends Arrays, A>(backend: CpuBackend, op: Op<I, O, A>, one: BenchCase<I, O, A>): Promise<void> {
  const small = (one.flops ?? one.bytes ?? 0) < REFERENCE_FLOPS;
  const other: Backend = small ? createHostBackend() : await createCpuBackend({ threads: backend.threads, level: 'generic' });
  other.memory.scoped(() => backend.memory.scoped(() => {
    const want = runPlaced(other, op, one)() as Arrays, got = runPlaced(backend, op, one)() as Arrays;
    for (const name of Object.keys(want)) {
      if (!want[name]) continue;
      const largest = (elementsOf(want[name]!) as Float32Array).reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const problem = describeDifference(`${op.name} ${one.label}`, got[name]!, want[name]!, one.bound ?? (() => 1e-4 * largest), name);
      if (problem) throw new Error(problem);
    }
  }));
  if (small) other.memory.dispose();
  else (other as CpuBackend).dispose();
}

/** The op's call on arrays in the backend's memory; outputs are made once. */
function runPlaced<I extends Arrays, O extends Arrays, A>(backend: Backend, op: Op<I, O, A>, { inputs, attributes, given = {} }: BenchCase<I, O, A>): () => O {
  const place = (arrays: Arrays): Arrays => Object.fromEntries(Object.entries(arrays).map(([name, view]) => {
    if (!view) return [name, view];
    const own = backend.memory.allocate(view.dtype, view.shape) as ArrayView;
    backend.memory.write(own, (view.data as Float32Array).subarray(0, elementCount(view.shape)));
    return [name, own];
  }));
  const placed = place(inputs) as I;
  let outputs = runOp(backend, op, placed, attributes, place(given as Arrays) as Partial<O>);
  return () => (outputs = runOp(backend, op, placed, attributes, outputs));
}

function measure<I extends Arrays, O extends Arrays, A>(backend: CpuBackend, op: Op<I, O, A>, one: BenchCase<I, O, A>): void {
  backend.memory.scoped(() => {
    const run = runPlaced(backend, op, one), seconds: number[] = [], peaks: number[] = [], peak = ceilingOf(backend, one.flops === undefined ? 'gbps' : (one.attributes as { computeDtype?: 'f32' | 'bf16' }).computeDtype ?? 'f32');
    for (let spent = 0; seconds.length < 5 || (spent < 0.7 && seconds.length < 400);) {
      if (seconds.length % 16 === 0) peaks.push(peak());
      const start = performance.now();
      run();
      seconds.push((performance.now() - start) / 1000);
      spent += seconds.at(-1)!;
    }
    seconds.sort((a, b) => a - b);
    const work = (one.flops ?? one.bytes ?? 0) / 1e9, best = seconds[0]!, median = seconds[seconds.length >> 1]!, most = Math.max(...peaks), unit = one.flops ? 'GFLOP/s' : 'GB/s';
    console.log(`${op.name.padEnd(28)} ${one.label.padEnd(34)} ${backend.level} ${backend.threads}T  ${(best * 1e3).toFixed(3).padStart(9)} ms (median ${(median * 1e3).toFixed(3)}, ${seconds.length} runs)  ${
      (work / best).toFixed(1).padStart(6)} ${unit} = ${((100 * work) / best / most).toFixed(0)} % of ${most.toFixed(0)} (median ${((100 * work) / median / most).toFixed(0)} %)`);
  });
}
