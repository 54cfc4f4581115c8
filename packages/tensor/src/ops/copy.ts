import { elementCount, defineOp, type ArrayView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/** y = x; with `y` handed in, it writes there (rows of a key-value cache).  x: any shape  →  y: as x */
export const copy = defineOp({
  name: 'copy',
  shapes: (i: { x: F32 }, _: Record<string, never>) => ({ y: { dtype: 'f32', shape: i.x.shape } }),
  reference({ x }, { y }: { y: F32 }) {
    for (let i = 0; i < elementCount(x.shape); i++) y.data[i] = x.data[i]!;
  },
});
