import { rowsOf } from '@qdylora/contract';
import type { ForwardContext } from '@qdylora/tensor';
import { i32Array, type LossInputs } from './batch-arrays.ts';
import type { CausalLm } from './causal-lm.ts';

/**
 * Losses and most likely tokens of the counted targets, from the hidden states of one pass: [tokens] each.
 */
export async function scoreTargets(
  { backend, head, hidden }: Pick<CausalLm, 'backend' | 'head' | 'hidden'>,
  ctx: ForwardContext,
  inputs: LossInputs,
): Promise<{ readonly tokenLosses: Float32Array; readonly likeliest: Int32Array }> {
  const { targets, segments } = inputs;
  const { memory } = backend;
  const ranges = countedRanges(targets, segments);
  const views = memory.scoped(
    () => {
      const x = hidden(ctx, inputs);
      const { tokenLosses } = head.loss(ctx, x, { targets: i32Array(backend, targets) }, { lossScale: 1 });
      const ids = ranges.map(([from, to]) => head.likeliestOfRows(ctx, rowsOf(x.view, from, to)));
      return { tokenLosses, ids };
    },
    (result) => [result.tokenLosses, ...result.ids],
  );
  const tokenLosses = await memory.read(views.tokenLosses);
  const likeliest = new Int32Array(targets.length).fill(-1);
  for (const [i, view] of views.ids.entries()) likeliest.set(await memory.read(view), ranges[i][0]);
  for (const view of [views.tokenLosses, ...views.ids]) memory.release(view);
  return { tokenLosses, likeliest };
}

/** The rows from the first counted target of each segment to the last one. */
function countedRanges(targets: Int32Array, segments: Int32Array): (readonly [from: number, to: number])[] {
  const ranges: [number, number][] = [];
  for (let s = 0; s + 1 < segments.length; s++) {
    const part = targets.subarray(segments[s], segments[s + 1]);
    const first = part.findIndex((target) => target >= 0);
    const last = part.findLastIndex((target) => target >= 0);
    if (first >= 0) ranges.push([segments[s] + first, segments[s] + last + 1]);
  }
  return ranges;
}
