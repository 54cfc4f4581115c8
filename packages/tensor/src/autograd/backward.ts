import {
  anyValue,
  checkOptions,
  elementCount,
  isHalfDType,
  narrowHalves,
  QdyloraError,
  runOp,
  sameShape,
  shapeText,
  trueOrFalse,
  type ArrayView,
  type Backend,
  type FloatView,
  type OptionRules,
} from '@qdylora/contract';
import { fill } from '../ops/elements/fill.ts';
import { Parameter } from '../parameter.ts';
import type { Tensor } from '../tensor.ts';
import { GradientStore } from './gradient-store.ts';
import { holds, type Tape, type TapeNode } from './tape.ts';

/**
 * Options of `backward`: the gradient to start from, the arrays it may reuse, and the gradients to return.
 */
export interface BackwardOptions<V extends ArrayView = FloatView> {
  /**
   * Gradient of the root, of its dtype and shape. Default: 1, for a root of one element. The caller keeps
   * the array.
   */
  readonly seed?: FloatView;
  /** True if backward may add to the seed in place, because nobody else reads it. Default: false. */
  readonly ownsSeed?: boolean;
  /**
   * True if nobody reads the root's values any more: its memory is released before anything else runs.
   * Default: false.
   */
  readonly ownsRoot?: boolean;
  /**
   * Tensors whose gradients are returned. All other gradients are released after their last use. Default:
   * none.
   */
  readonly leaves?: readonly Tensor<V>[];
}

const BACKWARD_OPTIONS: OptionRules<BackwardOptions> = {
  seed: anyValue,
  ownsSeed: trueOrFalse,
  ownsRoot: trueOrFalse,
  leaves: anyValue,
};

/**
 * Walks the tape backwards once. It adds to the gradients of trainable parameters, returns the gradients of
 * `leaves` in their order, each in an array of its own, and releases every recorded result as soon as nothing
 * needs it.
 *
 * @throws QdyloraError BAD_ARGUMENT if the tape has not recorded the root or backward has run on it, if the
 * root is not a scalar and has no seed, for a seed of another dtype or shape, for a leaf that is used as an
 * input for which the op has no gradient (a weight, a bias, a factor), and for an unknown option
 */
export function backward<V extends ArrayView = FloatView>(
  tape: Tape,
  root: Tensor,
  options: BackwardOptions<V> = {},
): (V | undefined)[] {
  checkOptions('backward', options, BACKWARD_OPTIONS);
  const { seed, ownsSeed = false, ownsRoot = false, leaves = [] } = options;
  const { backend } = tape;
  assertSeed(root.view, seed);
  assertRecorded(tape, root, leaves);
  const store = new GradientStore(backend);
  const one = seed ?? oneLike(backend, root.view as FloatView);
  store.seed(root, one, ownsSeed);
  const nodes = tape.nodes.splice(0).reverse();
  const retained = new Set((ownsRoot ? leaves : [root, ...leaves]).map(({ view }): ArrayView => view));
  const pass: BackwardPass = {
    tape,
    store,
    unseededRoot: seed ? null : root,
    leaves,
    retained,
    isReadAgain: readersOf(nodes, retained),
  };
  for (const [at, node] of nodes.entries()) {
    const gradients = gradientsOf(node, store);
    releaseUnusedOutputs(node, pass);
    if (gradients) addContributions(node, at, gradients, pass);
    releaseUsedGradients(node, pass);
  }
  const gradients = leaves.map((tensor) => store.returned(tensor) as V | undefined);
  if (!seed) backend.memory.release(one);
  return gradients;
}

function assertSeed({ dtype, shape }: ArrayView, seed: FloatView | undefined): void {
  const where = 'backward';
  if (!seed && elementCount(shape) !== 1)
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem: `the root must be a scalar, or have a seed (got shape ${shapeText(shape)})`,
    });
  if (seed && (seed.dtype !== dtype || !sameShape(seed.shape, shape)))
    throw new QdyloraError('BAD_ARGUMENT', {
      where,
      problem:
        `the seed must be ${dtype} ${shapeText(shape)}, as the root is, but it is ` +
        `${seed.dtype} ${shapeText(seed.shape)}`,
    });
}

/** Refuses a root from which no gradient can flow: without this check all gradients would silently be 0. */
function assertRecorded({ nodes }: Tape, root: Tensor, leaves: readonly Tensor[]): void {
  if (leaves.includes(root)) return;
  for (let at = nodes.length - 1; at >= 0; at--) if (holds(nodes[at].outputs, root)) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'backward',
    problem: root.needsGradient
      ? 'the tape has not recorded the root, or backward has already run on this tape'
      : 'the root depends on no parameter or leaf that needs a gradient',
    nextStep: 'Run the forward pass on a new Tape, and backward once with its result.',
  });
}

/** A 1 of the root's shape and dtype. */
function oneLike(backend: Backend, { dtype, shape }: FloatView): FloatView {
  if (!isHalfDType(dtype)) return runOp(backend, fill, {}, { value: 1, shape }).y;
  const one = backend.memory.allocate(dtype, shape);
  backend.memory.write(one, narrowHalves(dtype, Float32Array.of(1)));
  return one;
}

/** What all nodes of one backward pass share. */
interface BackwardPass {
  readonly tape: Tape;
  readonly store: GradientStore;
  /** The root where its gradient is the 1 that backward starts from; else null. */
  readonly unseededRoot: Tensor | null;
  /** Tensors whose gradients are returned. */
  readonly leaves: readonly Tensor[];
  /** Arrays that outlive the pass. A root that was written over another result shares its array. */
  readonly retained: ReadonlySet<ArrayView>;
  readonly isReadAgain: (tensor: Tensor | undefined, at: number) => boolean;
}

/** The gradients of a node's outputs, by name; null where it has none, so that its rule need not run. */
function gradientsOf(node: TapeNode, store: GradientStore): Record<string, FloatView> | null {
  const gradients: Record<string, FloatView> = {};
  let hasGradient = false;
  for (const name in node.outputs) {
    const tensor = node.outputs[name];
    const gradient = tensor && store.get(tensor);
    if (!gradient) continue;
    gradients[name] = gradient;
    hasGradient = true;
  }
  return hasGradient ? gradients : null;
}

/** Releases the outputs that the node's own rule does not read: every later reader has run its rule. */
function releaseUnusedOutputs(node: TapeNode, { tape, store, retained }: BackwardPass): void {
  for (const name in node.outputs) {
    const tensor = node.outputs[name];
    if (tensor && !retained.has(tensor.view) && !node.usesOutputs.includes(name) && !store.holds(tensor.view))
      tape.backend.memory.release(tensor.view);
  }
}

/** Runs the node's rule and adds what it returns to the gradients of the node's inputs. */
function addContributions(
  node: TapeNode,
  at: number,
  gradients: Record<string, FloatView>,
  { tape, store, unseededRoot, leaves, isReadAgain }: BackwardPass,
): void {
  const before: Record<string, FloatView | undefined> = {};
  for (const name in node.inputs)
    if (node.inputs[name]?.needsGradient) before[name] = store.get(node.inputs[name]);
  const isRoot = unseededRoot !== null && holds(node.outputs, unseededRoot);
  const take = (name: string): ArrayView | undefined =>
    isReadAgain(node.inputs[name], at) ? undefined : node.inputs[name]!.view;
  const contributions = node.backward(gradients, { isRoot, tape, store, leaves, take });
  assertLeavesGetGradients(node, leaves, contributions);
  const outputGradients = Object.values(gradients);
  const names = Object.keys(contributions);
  for (const [i, name] of names.entries()) {
    const contribution = contributions[name] as FloatView | undefined;
    const tensor = node.inputs[name];
    if (!contribution || !tensor) continue;
    // A sum that the rule wrote in place. An array that is also an output's gradient was only passed on, so
    // it still has to be added.
    if (contribution === before[name] && !outputGradients.includes(contribution)) continue;
    if (tensor.needsGradient && !(tensor instanceof Parameter)) store.add(tensor, contribution);
    const isUsed =
      store.holds(contribution) ||
      outputGradients.includes(contribution) ||
      names.some((other, j) => j > i && contributions[other] === contribution);
    if (!isUsed) tape.backend.memory.release(contribution);
  }
}

/** Refuses a leaf as an input for which the op has no gradient: its gradient would silently be undefined. */
function assertLeavesGetGradients(
  { inputs }: TapeNode,
  leaves: readonly Tensor[],
  contributions: Readonly<Record<string, ArrayView | undefined>>,
): void {
  if (leaves.length === 0) return;
  for (const name in inputs) {
    const tensor = inputs[name];
    if (!tensor || name in contributions || !leaves.includes(tensor)) continue;
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'backward',
      problem: `the leaf that is used as ${name} gets no gradient: the op computes none for this input`,
      nextStep:
        tensor instanceof Parameter
          ? 'Leave it out of `leaves`: backward adds to its `gradient`.'
          : 'Leave it out of `leaves`. For a weight, a bias or a table use a `Parameter`.',
    });
  }
}

/** Releases the gradients of a node's outputs, and the outputs themselves. */
function releaseUsedGradients(node: TapeNode, { tape, store, leaves, retained }: BackwardPass): void {
  for (const name in node.outputs) {
    const tensor = node.outputs[name];
    if (!tensor || leaves.includes(tensor)) continue;
    store.drop(tensor);
    if (!retained.has(tensor.view) && !store.holds(tensor.view)) tape.backend.memory.release(tensor.view);
  }
}

/**
 * Returns a test whether an input of the node at `at` (the last call is at 0) is read again after that
 * node, or under a second name in it: by its maker's rule, by an earlier call, or because it is retained.
 * True for a tensor that is no result. The index is built at the first question. Searching the tape at each
 * question took half of the JavaScript time of a step.
 */
function readersOf(
  nodes: readonly TapeNode[],
  retained: ReadonlySet<ArrayView>,
): (tensor: Tensor | undefined, at: number) => boolean {
  const makers = new Map<Tensor, TapeNode>();
  const lastReader = new Map<ArrayView, number>();
  const index = (): void => {
    for (let i = 0; i < nodes.length; i++) {
      const { inputs, outputs } = nodes[i];
      for (const name in inputs) if (inputs[name]) lastReader.set(inputs[name].view, i);
      for (const name in outputs) if (outputs[name]) makers.set(outputs[name], nodes[i]);
    }
  };
  return (tensor, at) => {
    if (makers.size === 0) index();
    const maker = tensor && makers.get(tensor);
    if (
      !maker ||
      retained.has(tensor.view) ||
      maker.usesOutputs.some((name) => maker.outputs[name] === tensor)
    )
      return true;
    const { inputs } = nodes[at];
    let timesHere = 0;
    for (const name in inputs) if (inputs[name]?.view === tensor.view) timesHere++;
    return timesHere > 1 || lastReader.get(tensor.view)! > at;
  };
}
