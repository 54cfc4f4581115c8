import {
  elementCount,
  QdyloraError,
  runOp,
  shapeText,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import { fill } from '../ops/elements/fill.ts';
import { Parameter } from '../parameter.ts';
import type { Tensor } from '../tensor.ts';
import { GradientStore } from './gradient-store.ts';
import type { Tape, TapeNode } from './tape.ts';

export interface BackwardOptions<V extends ArrayView = FloatView> {
  /**
   * Gradient of the root, of its element type; by default 1, for a root of shape [1]. It stays the caller's.
   */
  readonly seed?: FloatView;
  /** True where backward may add to the seed in place: nobody else reads it. */
  readonly ownsSeed?: boolean;
  /**
   * True where nobody reads the root's values any more: its memory is given back before anything else runs.
   */
  readonly ownsRoot?: boolean;
  /**
   * Tensors whose gradients are handed back (leaves); all others are released as soon as they are used up.
   */
  readonly wanted?: readonly Tensor<V>[];
}

/**
 * Goes through the tape backwards once: adds to the gradients of trainable parameters, returns those of
 * `wanted` in its order, and releases every recorded result as soon as nothing needs it.
 *
 * @throws QdyloraError BAD_ARGUMENT where the root is no scalar and no seed is given.
 */
export function backward<V extends ArrayView = FloatView>(
  tape: Tape,
  root: Tensor,
  { seed, ownsSeed = false, ownsRoot = false, wanted = [] }: BackwardOptions<V> = {},
): (V | undefined)[] {
  const { backend } = tape;
  const store = new GradientStore(backend);
  if (!seed && elementCount(root.view.shape) !== 1)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: 'backward',
      problem: `the root must be a scalar, or have a seed (got shape ${shapeText(root.view.shape)})`,
    });
  const one = seed ?? runOp(backend, fill, {}, { value: 1, shape: root.view.shape }).y;
  store.seed(root, one, ownsSeed);
  const kept: readonly Tensor[] = ownsRoot ? wanted : [root, ...wanted];
  const nodes = tape.nodes.reverse();
  const isReadAgain = readersOf(nodes, kept);
  for (const [at, node] of nodes.entries()) {
    const gradients: Record<string, FloatView> = {};
    let hasGradient = false;
    let isRoot = false;
    for (const name in node.outputs) {
      const tensor = node.outputs[name];
      if (tensor === root) isRoot = !seed;
      const gradient = tensor && store.get(tensor);
      if (gradient) {
        gradients[name] = gradient;
        hasGradient = true;
      }
      if (tensor && !kept.includes(tensor) && !node.usesOutputs.includes(name) && !store.holds(tensor.view))
        backend.memory.release(tensor.view); // every later use is behind us
    }
    if (hasGradient) {
      const before: Record<string, FloatView | undefined> = {};
      for (const name in node.inputs)
        if (node.inputs[name]?.needsGradient) before[name] = store.get(node.inputs[name]);
      const take = (name: string): ArrayView | undefined =>
        isReadAgain(node.inputs[name], at) ? undefined : node.inputs[name]!.view;
      const contributions = node.backward(gradients, { isRoot, tape, store, take });
      for (const name in contributions) {
        const contribution = contributions[name];
        const tensor = node.inputs[name];
        // the same array: the rule added in place
        if (!contribution || !tensor || contribution === before[name]) continue;
        if (tensor.needsGradient && !(tensor instanceof Parameter))
          store.add(tensor, contribution as FloatView);
        else if (!Object.values(gradients).includes(contribution as FloatView))
          backend.memory.release(contribution);
      }
    }
    for (const name in node.outputs) {
      const tensor = node.outputs[name];
      if (!tensor || wanted.includes(tensor as Tensor<V>)) continue;
      store.drop(tensor);
      if (!kept.includes(tensor) && !store.holds(tensor.view)) backend.memory.release(tensor.view);
    }
  }
  nodes.length = 0;
  if (!seed) backend.memory.release(one);
  return wanted.map((tensor) => store.get(tensor) as V | undefined);
}

/**
 * Asks, of an input of the node at `at` (last call first), whether something still reads it after that node,
 * or under another name in it: its maker, a call before, or whoever asked to keep it. True for what is no
 * result.
 * The tape is looked through once, at the first question: once a question it would be half of what JavaScript
 * does in a step.
 */
function readersOf(
  nodes: readonly TapeNode[],
  kept: readonly Tensor[],
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
    if (!maker || kept.includes(tensor) || maker.usesOutputs.some((name) => maker.outputs[name] === tensor))
      return true;
    const { inputs } = nodes[at];
    let timesHere = 0;
    for (const name in inputs) if (inputs[name]?.view === tensor.view) timesHere++;
    return timesHere > 1 || lastReader.get(tensor.view)! > at;
  };
}
