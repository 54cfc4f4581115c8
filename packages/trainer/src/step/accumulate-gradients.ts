import { wrapBackend, QdyloraError, rowsOf, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import {
  backward,
  copy,
  fill,
  Tape,
  type ComputeDtype,
  type ForwardContext,
  type Parameter,
  type Recompute,
} from '@qdylora/tensor';
import { nextTurn } from '../run/next-turn.ts';
import type { TrainingView } from './loss-model.ts';
import { gradientArrays, type Optimizer } from '../optimizers/optimizer.ts';

/** One forward and backward pass: a batch, and the model at the rank that the pass trains. */
export interface Pass {
  readonly view: TrainingView;
  readonly batch: TokenBatch;
  /** Factor on the loss of the pass, for the gradient; 1 by default. */
  readonly weight?: number;
}

export interface PassOptions {
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Which blocks keep only their input and recompute the rest in the backward pass. */
  readonly recompute?: Recompute;
  /** Masks are a function of (rng, pass, layer, step). null: no dropout. */
  readonly dropout?: ForwardContext['dropout'];
  /** Checked before each op. */
  readonly signal?: AbortSignal;
}

/**
 * Clears the gradients that the next passes add to. An optimizer is prepared first, if it is not yet; of bare
 * parameters, those without a gradient get one.
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
 * releases its temporaries.
 * Nothing is read back: lossScale · weight · Σ(token losses) of each pass goes into `losses: [passes]`.
 *
 * @throws QdyloraError ABORTED before the next op where the signal fires; the gradients are incomplete then,
 * and the weights unchanged.
 */
export async function accumulateGradients(
  passes: readonly Pass[],
  lossScale: number,
  losses: ArrayView<'f32'>,
  options: PassOptions = {},
): Promise<void> {
  const { signal } = options;
  for (const [i, pass] of passes.entries()) {
    if (i > 0) await nextTurn();
    const throwIfAborted = (): void => {
      if (signal?.aborted)
        throw new QdyloraError('ABORTED', {
          where: 'train',
          problem: `The step was aborted after ${i} of ${passes.length} passes`,
          cause: signal.reason,
        });
    };
    throwIfAborted();
    const backend = wrapBackend(pass.view.model.backend, { beforeCall: throwIfAborted });
    runPass(pass, backend, rowsOf(losses, i, i + 1), {
      ...options,
      lossScale: lossScale * (pass.weight ?? 1),
      dropout: dropoutOfPass(options.dropout, i),
    });
  }
}

interface OnePass extends PassOptions {
  readonly lossScale: number;
}

function runPass(
  { view: { model, active }, batch }: Pass,
  backend: Backend,
  into: ArrayView<'f32'>,
  { lossScale, computeDtype = 'f32', recompute = false, dropout = null }: OnePass,
): void {
  backend.memory.scoped(() => {
    const tape = new Tape(backend);
    const { loss } = model.loss(
      { backend, tape, computeDtype, activationDtype: computeDtype, active, dropout, recompute },
      batch,
      { lossScale },
    );
    runOp(backend, copy, { x: loss.view }, {}, { y: into });
    backward(tape, loss);
  });
}

/**
 * A mask depends on the place of an entry in the activations, so each pass of a step has its own generator.
 */
const dropoutOfPass = (dropout: PassOptions['dropout'], pass: number): PassOptions['dropout'] =>
  dropout && { step: dropout.step, rng: dropout.rng.named(`pass ${pass}`) };
