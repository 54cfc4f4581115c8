import type { ArrayView, Memory } from '@qdylora/contract';
import type { DyLoraLinear } from '@qdylora/lora-dynamic';

/** Writes A and B of a layer; null: zeros. */
export function setAdapterRows(
  memory: Memory,
  layer: DyLoraLinear,
  rows: { readonly a: Float32Array | null; readonly b: Float32Array | null },
): void {
  for (const name of ['a', 'b'] as const) {
    const view = layer[name].view as ArrayView<'f32'>;
    const values = rows[name];
    if (values) memory.write(view, values);
    else
      memory.fill(view, (zeros) => {
        zeros.fill(0);
      });
  }
}
