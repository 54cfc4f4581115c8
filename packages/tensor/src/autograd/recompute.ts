import type { ForwardContext } from '../nn/forward-context.ts';
import { leaf, type FloatTensor } from '../tensor.ts';
import { backward } from './backward.ts';
import { LazyCalls } from './lazy-calls.ts';
import { Tape, type TapeNode } from './tape.ts';

type Body<X> = (ctx: ForwardContext, x: X) => FloatTensor;

/**
 * Gradient checkpointing of one block. Only its input and output are kept. Backward runs the block again with
 * a second tape, without the ops that only its output needs.
 *
 * The same ops run in the same order on the same numbers, so the gradients have the same bits. Without a tape
 * it only scopes the block's temporaries. With `ctx.offload` the input rests beside the device until then.
 *
 * @param x null for a block without an input, which then makes its input again
 */
export function recompute<X extends FloatTensor | null>(
  ctx: ForwardContext,
  x: X,
  body: Body<X>,
): FloatTensor {
  const { memory } = ctx.backend;
  const kept = (ctx.tape && x && ctx.offload?.keep(x.view)) ?? null;
  const { view } = memory.scoped(
    () => body({ ...ctx, tape: null }, x),
    (result) => [result.view],
  );
  if (!ctx.tape) return { view, needsGradient: false };
  if (view !== x?.view) kept?.leave();
  const output = { view, needsGradient: true };
  const node: TapeNode = {
    inputs: x ? { x } : {},
    outputs: { output },
    usesOutputs: [],
    backward: (gradients, { store, leaves }) => {
      const input = kept ? kept.take() : x?.view;
      const result = memory.scoped(
        () => {
          const lazy = new LazyCalls(ctx.backend);
          const tape = new Tape(ctx.backend, lazy);
          const start = input ? leaf(input) : null;
          const end = body({ ...ctx, backend: lazy.backend, tape, offload: null }, start as X);
          lazy.end();
          // a block without trained weights or an input that needs a gradient: there is nothing to compute
          if (!end.needsGradient) return { x: undefined };
          const [dx] = backward(tape, end, {
            seed: gradients.output!,
            ownsSeed: !leaves.includes(output) && store.ownedBy(output) !== undefined,
            ownsRoot: end.view !== input,
            leaves: start ? [start] : [],
          });
          return { x: dx };
        },
        ({ x: dx }) => [dx],
      );
      if (kept) memory.release(input!);
      return result;
    },
  };
  ctx.tape.nodes.push(node);
  return output;
}
