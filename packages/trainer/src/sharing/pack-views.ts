import { elementCount, type ArrayView, type Memory } from '@qdylora/contract';
import type { PackedGradients } from './gradient-sum.ts';

type F32 = ArrayView<'f32'>;

/** Copies arrays into one, in order. */
export async function packViews(
  memory: Memory,
  views: readonly F32[],
): Promise<Pick<PackedGradients, 'values' | 'lengths'>> {
  const lengths = views.map(({ shape }) => elementCount(shape));
  const values = new Float32Array(lengths.reduce((sum, length) => sum + length, 0));
  let start = 0;
  for (const view of views) {
    const part = await memory.read(view);
    values.set(part, start);
    start += part.length;
  }
  return { values, lengths };
}

/** Copies the packed values back into the arrays. */
export function unpackViews(memory: Memory, values: Float32Array, views: readonly F32[]): void {
  let start = 0;
  for (const view of views) memory.write(view, values.subarray(start, (start += elementCount(view.shape))));
}
