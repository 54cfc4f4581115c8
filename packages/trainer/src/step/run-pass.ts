import { runOp, type ArrayView, type Backend, type Rng } from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import {
  backward,
  copy,
  Tape,
  type ComputeDtype,
  type ForwardContext,
  type InputOffload,
  type Recompute,
  type SoftTargetUse,
  type Tensor,
} from '@qdylora/tensor';
import type { TrainingView } from './loss-model.ts';

type F32 = ArrayView<'f32'>;

/** One forward and backward pass: a batch, and the model at the rank that the pass trains. */
export interface Pass {
  readonly view: TrainingView;
  readonly batch: TokenBatch;
  /** Factor on the loss of the pass, for the gradient; 1 by default. */
  readonly weight?: number;
  /** Role of the pass in distillation; undefined: none. */
  readonly distillation?: PassDistillation;
}

/**
 * Consecutive passes over one batch. The teacher stores its predictions: the `topK` most likely classes of
 * each token. The student learns from them with the share `weight` of its loss. No gradient flows back to the
 * teacher.
 */
export type PassDistillation =
  | { readonly role: 'teacher'; readonly topK: number }
  | { readonly role: 'student'; readonly topK: number; readonly weight: number };

/** How all passes of a step are computed. */
export interface PassOptions {
  /** `f32` by default. */
  readonly computeDtype?: ComputeDtype;
  /** Which blocks keep only their input and recompute the rest in the backward pass. */
  readonly recompute?: Recompute;
  /**
   * Where the inputs of recomputed blocks are kept between forward and backward; null by default: on the
   * device. A pass with `offload` is not recorded.
   */
  readonly offload?: InputOffload | null;
  /** Masks are a function of (rng, pass, layer, step). null: no dropout. */
  readonly dropout?: { readonly rng: Rng; readonly step: number } | null;
}

/** One pass of a step, with its index, loss scale and loss array. */
export interface PassRun extends PassOptions {
  readonly pass: Pass;
  /** Number of the pass in its step. */
  readonly index: number;
  /** Factor on the sum of the token losses, including the weight of the pass. */
  readonly lossScale: number;
  /** Gets lossScale · Σ token losses: [1] */
  readonly loss: F32;
}

/** How the pass uses the arrays between a teacher and its students. */
export interface SoftTargetRun {
  readonly softTargets?: SoftTargetUse | undefined;
}

/** Runs a pass: adds lossScale · dΣ(token losses) to the gradients and releases all temporaries. */
export function runPass(backend: Backend, run: PassRun & SoftTargetRun): void {
  const { pass, lossScale, dropout, loss, softTargets, offload } = run;
  const { model } = pass.view;
  try {
    backend.memory.scoped(() => {
      const counter = dropout ? counterOf(backend, dropout.step) : null;
      forwardAndBackward(backend, run, { counter, loss }, (ctx) =>
        model.loss(ctx, pass.batch, { lossScale, softTargets }),
      );
    });
  } catch (error) {
    offload?.reset();
    throw error;
  }
}

/** The arrays of a pass besides its batch. `counter`: [1], for dropout; `loss`: [1], the result. */
export interface PassArrays {
  readonly counter: ArrayView<'i32'> | null;
  readonly loss: F32;
}

/**
 * Runs the ops of a pass in the open scope. Apart from the options of the run, they depend only on the
 * contents of arrays.
 */
export function forwardAndBackward(
  backend: Backend,
  { pass, index, computeDtype = 'f32', recompute = false, offload = null, dropout }: PassRun,
  { counter, loss }: PassArrays,
  lossOf: (ctx: ForwardContext) => { readonly loss: Tensor<F32> },
): void {
  const tape = new Tape(backend);
  const root = lossOf({
    backend,
    tape,
    computeDtype,
    activationDtype: computeDtype,
    active: pass.view.active,
    // A mask depends on the position of an entry in the activations, so each pass has its own generator.
    dropout: dropout && counter ? { rng: dropout.rng.named(`pass ${index}`), counter } : null,
    recompute,
    offload,
  }).loss;
  runOp(backend, copy, { x: root.view }, {}, { y: loss });
  backward(tape, root);
}

function counterOf({ memory }: Backend, step: number): ArrayView<'i32'> {
  const counter = memory.allocate('i32', [1]);
  memory.write(counter, [step]);
  return counter;
}
