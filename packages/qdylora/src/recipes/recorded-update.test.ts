import { elementCount, hostData, wrapBackend, type Backend } from '@qdylora/contract';
import { createCpuBackend, type CpuBackend } from '@qdylora/cpu-kernels';
import { Parameter } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { temporaryFolder } from '@qdylora/testing/node';
import { createOptimizer, OPTIMIZER_NAMES, type Optimizer, type RowRange } from '@qdylora/trainer';
import { describe, expect, it } from 'vitest';

const SHAPES = [[8, 700], [8, 40], [4099], [3]] as const;

/** The same backend without recordings. */
const unrecorded = (backend: CpuBackend): Backend => wrapBackend(backend, { record: undefined });

/** An optimizer on the backend over parameters that depend on the seed only. */
function prepared(name: string, backend: Backend): Optimizer {
  const parameters = SHAPES.map((shape, i) => {
    const view = backend.memory.allocate('f32', shape);
    backend.memory.persist(view);
    backend.memory.write(view, hostData(normalView(1, `w${i}`, shape)));
    return new Parameter(`w${i}`, view);
  });
  const optimizer = createOptimizer(name, parameters, {
    learningRate: 1e-3,
    weightDecay: 0.1,
    momentum: 0.9,
    rowRates: () => [{ until: Infinity, factor: 1.5, wideFactor: 0.5 }],
    paging: { budgetBytes: 70_000, folder: temporaryFolder() },
  });
  optimizer.prepare(backend);
  return optimizer;
}

function setGradients({ parameters }: Optimizer, step: number): void {
  parameters.forEach(({ gradient }, i) => {
    hostData(gradient!).set(hostData(normalView(step, `g${i}`, gradient!.shape, 0.01)));
  });
}

type Rows = readonly RowRange[] | null;
/** All rows, as a run with adapters names them. */
const ALL_ROWS: Rows = [[0, 4099]];
/** Some rows, as update rule `newest_block` trains them. */
const SOME_ROWS: Rows = [[0, 3]];

/** Steps whose rows have their `wideFactor`. */
const WIDE_STEPS = 3;

/** One update of these rows; null: all of them. */
function takeStep(optimizer: Optimizer, step: number, rows: Rows = null): void {
  setGradients(optimizer, step);
  const isWide = step <= WIDE_STEPS;
  optimizer.step({ learningRate: 1e-3 / step, gradientScale: 1 - step / 50, rows, isWide });
}

/** Every bit of weights and states. */
async function bitsOf(optimizer: Optimizer): Promise<Buffer[]> {
  const states = await Promise.all([...optimizer.state().arrays.values()].map((array) => array.read()));
  const weights = optimizer.parameters.map(({ view }) => hostData(view).slice());
  return [...weights, ...states].map((array) =>
    Buffer.from(array.buffer, array.byteOffset, array.byteLength),
  );
}

describe('a replayed update', () => {
  it.each(
    OPTIMIZER_NAMES.flatMap((name) => [
      { name, threads: 1, rows: null },
      { name, threads: 2, rows: ALL_ROWS },
    ]),
  )(
    'of $name at $threads threads and rows $rows has the bits of one that is not recorded',
    async ({ name, threads, rows }) => {
      using backend = await createCpuBackend({ numThreads: threads, regionBytes: 1 << 20 });
      const optimizers = [prepared(name, backend), prepared(name, unrecorded(backend))];
      for (let step = 1; step <= 6; step++) {
        for (const optimizer of optimizers) takeStep(optimizer, step, rows);
        const [recorded, plain] = await Promise.all(optimizers.map(bitsOf));
        expect(recorded).toEqual(plain);
      }
    },
  );

  it('follows partial updates of a 32-bit optimizer, after which rows have different counts', async () => {
    using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
    const optimizers = [prepared('adamw_32bit', backend), prepared('adamw_32bit', unrecorded(backend))];
    for (let step = 1; step <= 6; step++) {
      for (const optimizer of optimizers)
        takeStep(optimizer, step, step === 3 || step === 5 ? SOME_ROWS : ALL_ROWS);
      const [recorded, plain] = await Promise.all(optimizers.map(bitsOf));
      expect(recorded).toEqual(plain);
    }
  });

  it.each([null, ALL_ROWS])('of rows %j makes no op call and no array', async (rows) => {
    using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
    let opCalls = 0;
    const counting = wrapBackend(backend, {
      record: () => {
        const recording = backend.record!();
        return {
          ...recording,
          backend: wrapBackend(recording.backend, { beforeCall: () => void opCalls++ }),
          [Symbol.dispose]: recording[Symbol.dispose],
        };
      },
    });
    const optimizer = prepared('adamw_32bit', counting);
    takeStep(optimizer, 1, rows);
    const { liveBytes } = backend.memory.usage();
    expect(opCalls).toBe(SHAPES.length);
    for (let step = 2; step <= 4; step++) takeStep(optimizer, step, rows);
    expect(opCalls).toBe(SHAPES.length);
    expect(backend.memory.usage().liveBytes).toBe(liveBytes);
  });

  it('is recorded again after dispose', async () => {
    using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
    const optimizer = prepared('adamw_32bit', backend);
    takeStep(optimizer, 1);
    takeStep(optimizer, 2);
    optimizer.dispose();
    optimizer.prepare(backend);
    const fresh = prepared('adamw_32bit', unrecorded(backend));
    fresh.parameters.forEach(({ view }, i) => {
      backend.memory.write(view, hostData(optimizer.parameters[i]!.view));
    });
    for (let step = 1; step <= 3; step++) for (const each of [optimizer, fresh]) takeStep(each, step);
    expect(await bitsOf(optimizer)).toEqual(await bitsOf(fresh));
  });

  it('asks beforeCall between its pieces, and records again after an abort', async () => {
    using backend = await createCpuBackend({ numThreads: 1, regionBytes: 1 << 20 });
    let isAborted = false;
    const abortable = wrapBackend(backend, {
      beforeCall: () => {
        if (isAborted) throw new Error('stop here');
      },
    });
    const optimizer = prepared('adamw_32bit', abortable);
    const plain = prepared('adamw_32bit', unrecorded(backend));
    for (let step = 1; step <= 2; step++) for (const each of [optimizer, plain]) takeStep(each, step);
    isAborted = true;
    expect(() => {
      takeStep(optimizer, 3);
    }).toThrow('stop here');
    isAborted = false;
    for (let step = 3; step <= 5; step++) for (const each of [optimizer, plain]) takeStep(each, step);
    expect(await bitsOf(optimizer)).toEqual(await bitsOf(plain));
  });
});

it('the shapes above have states in 8 bits, some too small for that, and one that is paged', () => {
  expect(SHAPES.map((shape) => elementCount(shape) >= 4096)).toEqual([true, false, true, false]);
});
