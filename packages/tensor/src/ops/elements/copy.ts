import { hostData, defineOp, elementCount, floatArray, type FloatView } from '@qdylora/contract';

/** y = x.  x: any shape → y: as x */
export const copy = defineOp({
  name: 'copy',
  takes: { x: floatArray(null) },
  halves: ['x', 'y'],
  shapes: (i: { x: FloatView }, _: Record<string, never>) => ({ y: { dtype: i.x.dtype, shape: i.x.shape } }),
  reference({ x }, { y }: { y: FloatView }) {
    const xData = hostData(x);
    const yData = hostData(y);
    for (let i = 0; i < elementCount(x.shape); i++) yData[i] = xData[i];
  },
});
