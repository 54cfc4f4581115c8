import type { ArrayView } from '@qdylora/contract';
import type { ForwardContext } from '../nn/forward-context.ts';
import { leaf, type Tensor } from '../tensor.ts';
import { backward } from './backward.ts';
import { Tape, type TapeNode } from './tape.ts';

type Body = (ctx: ForwardContext, x: Tensor<ArrayView<'f32'>>) => Tensor<ArrayView<'f32'>>;

/**
 * Gradient checkpointing of one block: only its input and output are kept; backward runs the block again with a tape of its own.
 * The same ops run in the same order on the same numbers, so the result is the same bit for bit. Without a tape it just scopes the block's temporaries.
 */
export function recompute(ctx: ForwardContext, x: Tensor<ArrayView<'f32'>>, body: Body): Tensor<ArrayView<'f32'>> {
  const { memory } = ctx.backend;
  const { view } = memory.scoped(() => body({ ...ctx, tape: null }, x), (result) => [result.view]);
  if (!ctx.tape) return { view, needsGradient: false };
  const output = { view, needsGradient: true };
  const node: TapeNode = {
    inputs: { x }, outputs: { output }, usesOutputs: [],
    backward: (gradients, _isRoot, _tape, store) => memory.scoped(() => {
      const tape = new Tape(ctx.backend), start = leaf(x.view), end = body({ ...ctx, tape }, start);
      return { x: backward(tape, end, { seed: gradients.output!, ownsSeed: store.ownedBy(output) !== undefined, wanted: [start] })[0] };
    }, (result) => [result.x]),
  };
  ctx.tape.nodes.push(node);
  return output;
}
