const LENGTH = 256;
const BYTES = 292;
const CODES = 4;

/** Q8_K: `float d · int8 q[256] · int16 sums[16]`, value = d·q; the sums of 16 codes serve products only. */
export function dequantizeQ8_K(blocks: Uint8Array, values: Float32Array): void {
  const view = new DataView(blocks.buffer, blocks.byteOffset, blocks.byteLength);
  for (let block = 0, at = 0; at < values.length; block += BYTES, at += LENGTH) {
    const d = view.getFloat32(block, true);
    for (let i = 0; i < LENGTH; i++) values[at + i] = d * view.getInt8(block + CODES + i);
  }
}
