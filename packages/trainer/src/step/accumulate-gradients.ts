import { wrapBackend, QdyloraError, rowsOf, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { fill, type Parameter } from '@qdylora/tensor';
import { nextTurn } from '../next-turn.ts';
import type { TrainingView } from './loss-model.ts';
import type { PassRecorder } from './pass-recorder.ts';
import { runPass, type Pass, type PassOptions, type PassRun } from './run-pass.ts';
import { createSoftTargetMemory } from './soft-target-memory.ts';
import { gradientArrays, type Optimizer } from '../optimizers/optimizer.ts';

/** Options of `accumulateGradients`: those of its passes, and how they are recorded. */
export interface AccumulateOptions extends PassOptions {
  /** Checked before each op. */
  readonly signal?: AbortSignal;
  /** Records passes of equal shapes and replays them; without it every pass runs op by op. */
  readonly recorder?: PassRecorder | null;
  /** Number of the first pass in its step; 0 by default. Dropout masks depend on the numbers. */
  readonly firstIndex?: number;
}

/**
 * Clears the gradients that the next passes add to. An optimizer is prepared first if necessary; parameters
 * without a gradient get one.
 *
 * @example
 * clearGradients(model, optimizer);
 * await accumulateGradients(passes, 1 / predictedTokens, losses);
 */
export function clearGradients(
  { backend }: Pick<TrainingView['model'], 'backend'>,
  trained: Pick<Optimizer, 'prepare' | 'parameters' | 'gradients'> | readonly Parameter[],
): void {
  if ('prepare' in trained) {
    trained.prepare(backend);
    return clearArrays(backend, gradientArrays(trained));
  }
  for (const parameter of trained) parameter.makeTrainable(backend.memory);
  clearArrays(
    backend,
    trained.map(({ gradient }) => gradient!),
  );
}

/** Fills arrays with 0. */
export function clearArrays(backend: Backend, arrays: readonly ArrayView<'f32'>[]): void {
  for (const y of arrays) runOp(backend, fill, {}, { value: 0, shape: y.shape }, { y });
}

/**
 * Runs the passes one after the other. Each adds lossScale · weight · dΣ(token losses) to the gradients and
 * releases its temporaries. `trainStep` computes the same bits only with `gradientSum: librarySum`; without
 * it, `trainStep` adds the gradients of passes in a tree.
 * Nothing is read back: lossScale · weight · Σ(token losses) of each pass goes into `losses: [passes]`.
 *
 * @throws QdyloraError ABORTED before the next op if the signal has fired; the gradients are incomplete then,
 * and the weights unchanged.
 */
export async function accumulateGradients(
  passes: readonly Pass[],
  lossScale: number,
  losses: ArrayView<'f32'>,
  { signal, recorder, firstIndex = 0, ...options }: AccumulateOptions = {},
): Promise<void> {
  if (passes.length === 0) return;
  const softTargets = createSoftTargetMemory(passes[0].view.model.backend);
  try {
    for (const [index, pass] of passes.entries()) {
      await nextTurn(); // so that `signal` can fire
      const throwIfAborted = (): void => {
        if (signal?.aborted)
          throw new QdyloraError('ABORTED', {
            where: 'train',
            problem: `The step was aborted before the end of its pass ${firstIndex + index}`,
            cause: signal.reason,
          });
      };
      throwIfAborted();
      const run: PassRun = {
        ...options,
        pass,
        index: firstIndex + index,
        lossScale: lossScale * (pass.weight ?? 1),
        loss: rowsOf(losses, index, index + 1),
      };
      if (recorder) {
        recorder.run(run, throwIfAborted);
        continue;
      }
      const backend = wrapBackend(pass.view.model.backend, { beforeCall: throwIfAborted });
      runPass(backend, { ...run, softTargets: softTargets.of(pass) });
    }
  } finally {
    softTargets.release();
  }
}
