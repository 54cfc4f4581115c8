import {
  QdyloraError,
  runOp,
  type Arrays,
  type ArrayView,
  type Backend,
  type FloatView,
  type Op,
} from '@qdylora/contract';
import { Parameter } from '../parameter.ts';
import type { Tensor } from '../tensor.ts';
import type { DifferentiableOp, Run } from './differentiable-op.ts';
import type { GradientStore } from './gradient-store.ts';
import type { LazyCalls } from './lazy-calls.ts';

type Tensors = Readonly<Record<string, Tensor | undefined>>;

/** What a node's rule can access of the backward pass. */
export interface BackwardWalk {
  readonly isRoot: boolean;
  readonly tape: Tape;
  readonly store: GradientStore;
  /** Tensors whose gradients are returned, so that no rule may overwrite those. */
  readonly leaves: readonly Tensor[];
  /**
   * The array of an input if nothing reads it any more, so that the rule may overwrite it; else undefined.
   */
  take(name: string): ArrayView | undefined;
}

/** One recorded call: inputs, outputs and the rule for their gradients. */
export interface TapeNode {
  readonly inputs: Tensors;
  readonly outputs: Tensors;
  /** Outputs whose values `backward` reads. */
  readonly usesOutputs: readonly string[];
  backward(
    gradients: Record<string, FloatView>,
    walk: BackwardWalk,
  ): Readonly<Record<string, ArrayView | undefined>>;
}

/**
 * The recorded calls of one forward pass, in order. `backward` walks them once, from the last to the first.
 */
export class Tape {
  readonly nodes: TapeNode[] = [];
  readonly backend: Backend;
  /** Set where only the gradients of the pass matter. */
  readonly lazy: LazyCalls | null;
  constructor(backend: Backend, lazy: LazyCalls | null = null) {
    this.backend = backend;
    this.lazy = lazy;
  }

  /**
   * Lets an op overwrite the array of a result, whose last reader it is.
   *
   * @throws QdyloraError BAD_ARGUMENT if backward may still read it: it is a leaf, another call reads it, or
   * its own rule does
   */
  handOver(tensor: Tensor, where: string): ArrayView {
    // Searches backwards, because the maker is near: all calls of the pass would be cold memory.
    let at = this.nodes.length - 1;
    let isReadAgain = false;
    for (; at >= 0 && !holds(this.nodes[at].outputs, tensor); at--)
      isReadAgain ||= holds(this.nodes[at].inputs, tensor);
    const maker = this.nodes[at];
    const noResult = tensor.needsGradient && !maker;
    if (noResult || isReadAgain || maker?.usesOutputs.some((name) => maker.outputs[name] === tensor))
      throw new QdyloraError('BAD_ARGUMENT', {
        where,
        problem:
          'a result may overwrite only an array that nothing else reads (got ' +
          `${noResult ? 'a leaf' : 'one that is still read'})`,
      });
    return tensor.view;
  }
}

/** Whether a tensor is one of these. */
export function holds(tensors: Tensors, tensor: Tensor): boolean {
  for (const name in tensors) if (tensors[name] === tensor) return true;
  return false;
}

/** The tensors of an op's inputs. Each is a constant, a leaf, a parameter or an earlier result. */
export type TensorsFor<I> = {
  readonly [K in keyof I]:
    Tensor<NonNullable<I[K]> & ArrayView> | (undefined extends I[K] ? undefined : never);
};
export type TensorsFrom<O> = { readonly [K in keyof O]-?: Tensor<NonNullable<O[K]> & ArrayView> };

/** The backend that ops run on, and the tape that records them (null: no gradients). */
export interface Recorder {
  readonly backend: Backend;
  readonly tape: Tape | null;
}

/**
 * Runs an op on tensors, and records it if a gradient has to flow back.
 *
 * @param over where outputs go instead of fresh arrays. `{ y: 'x' }`: over an input, whose last reader this
 * call is; the op has to allow it (`overwrites`). `{ y: view }`: into an array of the caller, which the tape
 * does not release, and which is no result that a gradient flows through.
 */
// oxlint-disable-next-line max-params -- as runOp, with tensors
export function apply<I extends Arrays, O extends Arrays, A>(
  recorder: Recorder,
  rule: DifferentiableOp<Op<I, O, A>, I, O, A>,
  inputs: TensorsFor<I>,
  attributes: A,
  over: { readonly [K in keyof O]?: (keyof I & string) | O[K] } = {},
): TensorsFrom<O> {
  // all names at once: one by one, more than a dozen make V8 keep them in a hash table
  const views: Record<string, ArrayView | undefined> = { ...(inputs as object) };
  let needsGradient = false;
  for (const name in inputs) {
    const tensor = (inputs as Tensors)[name];
    views[name] = tensor?.view;
    needsGradient ||= recorder.tape !== null && tensor?.needsGradient === true;
  }
  const callerArrays: Record<string, ArrayView> = {};
  const outs: Record<string, ArrayView> = {};
  for (const input in rule.gradientInForward) {
    const tensor = (inputs as Tensors)[input];
    const output = rule.gradientInForward[input] as string;
    if (recorder.tape && tensor instanceof Parameter && tensor.gradient)
      outs[output] = callerArrays[output] = tensor.gradient;
  }
  for (const output in over) {
    const place = over[output] as string | ArrayView;
    if (typeof place !== 'string') {
      outs[output] = callerArrays[output] = place;
      continue;
    }
    const tensor = (inputs as Tensors)[place]!;
    outs[output] = recorder.tape ? recorder.tape.handOver(tensor, rule.op.name) : tensor.view;
  }
  const lazy = recorder.tape?.lazy;
  const arrays = lazy
    ? lazy.call(rule, views as I, attributes, outs as Partial<O>)
    : runOp(recorder.backend, rule.op, views as I, attributes, outs as Partial<O>);
  const outputs: Record<string, Tensors[string]> = {};
  for (const name in arrays) {
    const view = arrays[name];
    // the gradient of a parameter, or an array of the caller, is not the tape's to release
    if (!(name in callerArrays)) outputs[name] = view && { view, needsGradient };
  }
  if (needsGradient)
    recorder.tape!.nodes.push(
      nodeOf({ rule, inputs: inputs as Tensors, views: views as I, attributes, outputs, arrays }),
    );
  return outputs as unknown as TensorsFrom<O>;
}

/** A call of an op that was made: its tensors, and their arrays. */
interface Call<I extends Arrays, O extends Arrays, A> {
  readonly rule: DifferentiableOp<Op<I, O, A>, I, O, A>;
  readonly inputs: Tensors;
  /** The arrays of the inputs. */
  readonly views: I;
  readonly attributes: A;
  readonly outputs: Tensors;
  /** The arrays of the outputs, with those that are no results. */
  readonly arrays: O;
}

function nodeOf<I extends Arrays, O extends Arrays, A>({
  rule,
  inputs,
  views,
  attributes,
  outputs,
  arrays,
}: Call<I, O, A>): TapeNode {
  const usesOutputs = rule.usesOutputs ?? [];
  const outputsForBackward: Record<string, ArrayView | undefined> = {};
  for (const name of usesOutputs) outputsForBackward[name] = arrays[name];
  return {
    inputs,
    outputs,
    usesOutputs,
    backward(gradients, { isRoot, tape, store, leaves, take }) {
      if (!isRoot) assertNoGradientYet(rule, inputs);
      return rule.backward({
        run: ((op, i, a, o) => runOp(tape.backend, op, i, a, o)) as Run,
        inputs: views,
        outputs: outputsForBackward as unknown as O,
        attributes,
        gradients: gradients as never,
        isRoot,
        take: take as never,
        wants: (name) => inputs[name]?.needsGradient === true && !(inputs[name] instanceof Parameter),
        into: (name) => {
          const tensor = inputs[name];
          return tensor instanceof Parameter ? (tensor.gradient ?? undefined) : undefined;
        },
        pending: ((name: string) => inputs[name] && store.ownedBy(inputs[name])) as never,
        spare: ((name: string) => {
          const output = outputs[name];
          return output && !leaves.includes(output) ? store.ownedBy(output) : undefined;
        }) as never,
      }) as Readonly<Record<string, ArrayView | undefined>>;
    },
  };
}

/**
 * Refuses a factor on a loss whose rule has added the gradient of a trained weight in the forward pass, where
 * the factor was not known.
 */
function assertNoGradientYet(
  { op, gradientInForward = {} }: Pick<DifferentiableOp<Op>, 'op' | 'gradientInForward'>,
  inputs: Tensors,
): void {
  for (const name in gradientInForward) {
    const weight = inputs[name];
    if (!(weight instanceof Parameter) || !weight.gradient) continue;
    throw new QdyloraError('BAD_ARGUMENT', {
      where: op.name,
      problem:
        `where ${name} is trained, the loss must be the root of backward, without a seed: its gradient was ` +
        'added in the forward pass',
      nextStep: 'Scale each loss with lossScale, and run backward for each of them.',
    });
  }
}
