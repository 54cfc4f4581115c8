import {
  hostData,
  assertShape,
  defineOp,
  f32Array,
  floatArray,
  i32Array,
  QdyloraError,
  type ArrayView,
  type FloatView,
} from '@qdylora/contract';
import type { DifferentiableOp } from '../../autograd/differentiable-op.ts';
import { readElement } from '../elements/read-element.ts';

/**
 * Rows of a table by id.  weight: [rows, hidden]   ids: [tokens]   →   y: [tokens, hidden]
 *
 * @throws QdyloraError BAD_DATA for an id outside the table
 */
export const embedding = defineOp({
  name: 'embedding',
  takes: { weight: floatArray(2), ids: i32Array(1) },
  shapes(i: { weight: FloatView; ids: ArrayView<'i32'> }, _: Record<string, never>) {
    return { y: { dtype: 'f32', shape: [i.ids.shape[0], i.weight.shape[1]] } };
  },
  reference({ weight, ids }, { y }: { y: ArrayView<'f32'> }) {
    const idsData = hostData(ids);
    const yData = hostData(y);
    const [rows, hidden] = weight.shape as [number, number];
    const at = readElement(weight);
    assertIdsWithin(ids, rows);
    for (let t = 0; t < ids.shape[0]; t++) {
      for (let j = 0; j < hidden; j++) yData[t * hidden + j] = at(idsData[t] * hidden + j);
    }
  },
});

/**
 * dWeight[id] += dy for every token, in token order, rounded to float32 after each token: kernels give the
 * same bits.
 *
 * ids: [tokens]   dy: [tokens, hidden]   →   dWeight: [rows, hidden]
 */
export const embeddingBackward = defineOp({
  name: 'embedding-backward',
  takes: { ids: i32Array(1), dy: f32Array(2) },
  accumulates: ['dWeight'],
  shapes(i: { ids: ArrayView<'i32'>; dy: ArrayView<'f32'> }, { rows }: { rows: number }) {
    assertShape('embedding-backward', 'dy', i.dy.shape, [i.ids.shape[0], -1]);
    return { dWeight: { dtype: 'f32', shape: [rows, i.dy.shape[1]] } };
  },
  reference({ ids, dy }, { dWeight }: { dWeight: ArrayView<'f32'> }) {
    const idsData = hostData(ids);
    const dyData = hostData(dy);
    const dWeightData = hostData(dWeight);
    const hidden = dy.shape[1];
    assertIdsWithin(ids, dWeight.shape[0]);
    for (let t = 0; t < ids.shape[0]; t++) {
      for (let j = 0; j < hidden; j++) dWeightData[idsData[t] * hidden + j] += dyData[t * hidden + j];
    }
  },
});

/**
 * Checks that all ids are rows of a table with `rows` rows.
 *
 * @throws QdyloraError BAD_DATA that names the first other id
 */
export function assertIdsWithin(ids: ArrayView<'i32'>, rows: number): void {
  const idsData = hostData(ids);
  for (let t = 0; t < idsData.length; t++) {
    const id = idsData[t];
    if (id >= 0 && id < rows) continue;
    throw new QdyloraError('BAD_DATA', {
      where: 'embedding',
      problem: `token ids must be within 0…${rows - 1} (got ${id} at position ${t})`,
      nextStep: 'Does the tokenizer belong to the model?',
      details: { position: t, id, rows },
    });
  }
}

/** `embedding` with the gradient of the table; ids have none. */
export const differentiableEmbedding: DifferentiableOp<typeof embedding> = {
  op: embedding,
  backward({ run, inputs, gradients, into }) {
    const dWeight = into('weight');
    if (dWeight)
      run(
        embeddingBackward,
        { ids: inputs.ids, dy: gradients.y },
        { rows: inputs.weight.shape[0] },
        { dWeight },
      );
    return {};
  },
};
