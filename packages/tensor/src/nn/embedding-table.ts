import type { ArrayView } from '@qdylora/contract';
import { apply } from '../autograd/tape.ts';
import { differentiableEmbedding } from '../ops/products/embedding.ts';
import type { Parameter } from '../parameter.ts';
import { constant, type Tensor } from '../tensor.ts';
import type { ForwardContext } from './forward-context.ts';

/** Rows of a table by token id.  ids: [tokens] → [tokens, hidden] */
export class EmbeddingTable {
  readonly name: string;
  readonly weight: Parameter;

  constructor(name: string, weight: Parameter) {
    this.name = name;
    this.weight = weight;
  }

  parameters(): Parameter[] {
    return [this.weight];
  }

  forward(ctx: ForwardContext, ids: ArrayView<'i32'>): Tensor<ArrayView<'f32'>> {
    return apply(ctx, differentiableEmbedding, { weight: this.weight as never, ids: constant(ids) }, {}).y;
  }
}
