import { apply, differentiableAdd } from '@qdylora/tensor';
import type { Hidden, LayerPass } from './layer-pass.ts';

/** x + branch: [tokens, hidden], in place of the branch, which nothing else reads. */
export const residualSum = ({ ctx }: LayerPass, x: Hidden, branch: Hidden): Hidden =>
  apply(ctx, differentiableAdd, { a: x, b: branch }, {}, { y: 'b' }).y;
