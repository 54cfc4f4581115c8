import { hostData, defineOp, type ArrayView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/** Sets every entry of y to `value`.  → y: `shape` */
export const fill = defineOp({
  name: 'fill',
  takes: {},
  acceptsNaN: true,
  shapes: (_: Record<string, never>, { shape }: { value: number; shape: readonly number[] }) => ({
    y: { dtype: 'f32', shape },
  }),
  reference(_, { y }: { y: F32 }, { value }) {
    hostData(y).fill(value);
  },
});
