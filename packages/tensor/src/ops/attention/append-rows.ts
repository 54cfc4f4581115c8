import { hostData, defineOp, f32Array, i32Array, QdyloraError, type ArrayView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/**
 * Writes the newest rows of a key-value cache: y[end − tokens + i] = x[i], with `end` the last entry of
 * `segments`. The other rows of y are unchanged. The position comes from an array, so that a replayed call
 * writes each token to its own row.
 *
 * x: [tokens, width]   segments: [≥ 1]   →   y: [rows, width], supplied
 *
 * @throws QdyloraError BAD_DATA if the rows are outside y
 */
export const appendRows = defineOp({
  name: 'append-rows',
  takes: { x: f32Array(2), segments: i32Array(1) },
  updates: ['y'],
  shapes(i: { x: F32; segments: ArrayView<'i32'> }, { rows }: { rows: number }) {
    if (!(i.segments.shape[0] >= 1))
      throw new QdyloraError('BAD_SHAPE', {
        where: 'append-rows',
        problem: 'segments must have at least one entry',
      });
    return { y: { dtype: 'f32', shape: [rows, i.x.shape[1]] } };
  },
  reference({ x, segments }, { y }: { y: F32 }, { rows }) {
    const xData = hostData(x);
    const segmentsData = hostData(segments);
    const yData = hostData(y);
    const [tokens, width] = x.shape as [number, number];
    const end = segmentsData[segments.shape[0] - 1];
    const from = end - tokens;
    if (from < 0 || end > rows)
      throw new QdyloraError('BAD_DATA', {
        where: 'append-rows',
        problem: `the ${tokens} rows must end within 0…${rows} (got ${end})`,
      });
    for (let i = 0; i < tokens * width; i++) yData[from * width + i] = xData[i];
  },
});
