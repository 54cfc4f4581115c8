import type { ForwardContext } from '../nn/forward-context.ts';
import { leaf, type FloatTensor } from '../tensor.ts';
import { backward } from './backward.ts';
import { LazyCalls } from './lazy-calls.ts';
import { Tape, type TapeNode } from './tape.ts';

type Body<X> = (ctx: ForwardContext, x: X) => FloatTensor;

/**
 * Gradient checkpointing of one block: only its input and output are kept; backward runs the block again with
 * a tape of its own, without what only the output needs.
 * The same ops run in the same order on the same numbers, so the result is the same bit for bit. Without a
 * tape it just scopes the block's temporaries.
 * A block without an input (null) makes its own, and makes it again.
 */
export function recompute<X extends FloatTensor | null>(
  ctx: ForwardContext,
  x: X,
  body: Body<X>,
): FloatTensor {
  const { memory } = ctx.backend;
  const { view } = memory.scoped(
    () => body({ ...ctx, tape: null }, x),
    (result) => [result.view],
  );
  if (!ctx.tape) return { view, needsGradient: false };
  const output = { view, needsGradient: true };
  const node: TapeNode = {
    inputs: x ? { x } : {},
    outputs: { output },
    usesOutputs: [],
    backward: (gradients, { store }) =>
      memory.scoped(
        () => {
          const lazy = new LazyCalls(ctx.backend);
          const tape = new Tape(ctx.backend, lazy);
          const start = x && leaf(x.view);
          const end = body({ ...ctx, backend: lazy.backend, tape }, start as X);
          lazy.end();
          const [dx] = backward(tape, end, {
            seed: gradients.output!,
            ownsSeed: store.ownedBy(output) !== undefined,
            ownsRoot: end.view !== x?.view,
            leaves: start ? [start] : [],
          });
          return { x: dx };
        },
        (result) => [result.x],
      ),
  };
  ctx.tape.nodes.push(node);
  return output;
}
