import {
  canRecord,
  repeatedCall,
  runOp,
  wrapBackend,
  type ArrayView,
  type Backend,
  type RepeatedCall,
} from '@qdylora/contract';
import { copy } from '@qdylora/tensor';
import type { LossArrays, LossModel } from './loss-model.ts';
import {
  forwardAndBackward,
  runPass,
  type PassArrays,
  type PassRun,
  type SoftTargetRun,
} from './run-pass.ts';
import { createSoftTargetMemory } from './soft-target-memory.ts';

/**
 * Records passes and replays them while their shapes stay the same: a replayed pass runs no JavaScript. The
 * bits are the same.
 *
 * A pass is recorded if the pass before it had sequences of the same lengths. Each rank, each quantization
 * level and each position in a step has its own recording. All of them share one memory for temporaries,
 * which a pass of another shape frees.
 */
export interface PassRecorder extends Disposable {
  /** Runs a pass or replays it. `beforeCall` throws to end it. */
  run(run: PassRun, beforeCall: () => void): void;
  /**
   * Frees all recordings and their memory; the next pass records again. Call it before other work that needs
   * memory, such as evaluation, and after weights or gradients have moved.
   */
  release(): void;
  dispose(): void;
}

interface LastPass {
  readonly shape: string;
  readonly backend: Backend;
  /** Classes of the soft targets of the newest pass with any. */
  readonly topK: number | undefined;
}

/** Recordings of passes of one shape, by the other values that they depend on. */
interface Recordings {
  readonly arrays: LossArrays & PassArrays & { readonly counter: ArrayView<'i32'> };
  readonly calls: Map<string, RepeatedCall<undefined>>;
}

/**
 * Creates a recorder.
 *
 * @param modelBackend the backend of the model; if it cannot record, every pass simply runs
 * @example
 * using recorder = createPassRecorder(model.backend);
 * for (let step = 0; step < 100; step++)
 *   await trainStep(view, batches.batchAt(step), optimizer, { recorder });
 */
export function createPassRecorder(modelBackend: Backend): PassRecorder {
  let beforeCall = (): void => {};
  const backend = wrapBackend(modelBackend, {
    beforeCall: () => {
      beforeCall();
    },
  });
  let last: LastPass | null = null;
  const numbers = new WeakMap<LossModel, number>();
  let modelCount = 0;
  /** A number for each model. A model at two quantization levels is two models on one backend. */
  const numberOf = (model: LossModel): number => {
    const number = numbers.get(model) ?? modelCount++;
    numbers.set(model, number);
    return number;
  };
  let recordings: Recordings | null = null;
  const softTargets = createSoftTargetMemory(modelBackend);
  const forget = (): void => {
    if (recordings) freeRecordings(backend, recordings);
    recordings = null;
  };
  const release = (): void => {
    forget();
    softTargets.release();
  };
  const replay = (run: PassRun & SoftTargetRun): void => {
    recordings ??= startRecordings(backend, run);
    const { arrays, calls } = recordings;
    writeArrays(backend, run, arrays);
    const { view, distillation } = run.pass;
    const key = JSON.stringify([run.index, numberOf(view.model), view.active, distillation]);
    const call = calls.get(key) ?? recordedPass(backend, run, recordings);
    calls.set(key, call);
    call.run();
    runOp(backend, copy, { x: arrays.loss }, {}, { y: run.loss });
  };
  return {
    run(passRun, nextBeforeCall) {
      beforeCall = nextBeforeCall;
      const { backend: passBackend } = passRun.pass.view.model;
      const topK = passRun.pass.distillation?.topK ?? last?.topK;
      const shape = shapeOf(passRun, topK);
      const isRepeated = shape === last?.shape && passBackend === last.backend;
      last = { shape, topK, backend: passBackend };
      if (!isRepeated) forget();
      const run = { ...passRun, softTargets: softTargets.of(passRun.pass) };
      if (!isRepeated || !isRecordable(backend, run)) return runPass(backend, run);
      try {
        replay(run);
      } catch (error) {
        release(); // half a recording must not be replayed
        throw error;
      }
    },
    release,
    dispose: release,
    [Symbol.dispose]: release,
  };
}

/** Copies to and from an offload are not ops, so a recording would leave them out. */
const isRecordable = (backend: Backend, { pass, offload }: PassRun): boolean =>
  canRecord(backend) && !offload && pass.view.model.lossOfArrays !== undefined;

/**
 * The values that determine the shapes of all arrays of a pass, its ops and their scratch memory: that of
 * attention depends on where each sequence begins. A pass without soft targets keeps the `topK` of the pass
 * before it.
 */
const shapeOf = ({ pass, computeDtype, recompute, dropout }: PassRun, topK: number | undefined): string =>
  JSON.stringify([
    pass.batch.segments.join(),
    topK,
    computeDtype,
    recompute,
    dropout ? dropout.rng.key : null,
  ]);

function startRecordings({ memory }: Backend, { pass: { batch } }: PassRun): Recordings {
  memory.trim(); // free the temporaries of earlier passes: the recordings take as much
  const tokens = batch.ids.length;
  const arrays = {
    ids: memory.allocate('i32', [tokens]),
    targets: memory.allocate('i32', [tokens]),
    positions: memory.allocate('i32', [tokens]),
    segments: memory.allocate('i32', [batch.segments.length]),
    tokenWeights: memory.allocate('f32', [tokens]),
    counter: memory.allocate('i32', [1]),
    loss: memory.allocate('f32', [1]),
  };
  memory.persist(...Object.values(arrays));
  return { arrays, calls: new Map() };
}

function freeRecordings({ memory }: Backend, { arrays, calls }: Recordings): void {
  for (const call of calls.values()) call.dispose();
  for (const view of Object.values(arrays)) memory.release(view);
}

function writeArrays(
  { memory }: Backend,
  { pass: { view, batch }, lossScale, dropout }: PassRun,
  { ids, targets, positions, segments, tokenWeights, counter }: Recordings['arrays'],
): void {
  view.model.assertInputs?.(batch);
  memory.write(ids, batch.ids);
  memory.write(targets, batch.targets);
  memory.write(positions, batch.positions);
  memory.write(segments, batch.segments);
  memory.fill(tokenWeights, (values) => {
    values.fill(lossScale);
  });
  memory.write(counter, [dropout?.step ?? 0]);
}

function recordedPass(
  backend: Backend,
  run: PassRun & SoftTargetRun,
  { arrays, calls }: Recordings,
): RepeatedCall<undefined> {
  const { model } = run.pass.view;
  const body = (recorder: Backend): undefined => {
    forwardAndBackward(recorder, run, arrays, (ctx) => model.lossOfArrays!(ctx, arrays, run.softTargets));
  };
  const [other] = calls.values();
  return other ? other.another(body) : repeatedCall(backend, body, { isLarge: true });
}
