import { createHostBackend, createRng, elementsOf } from '@qdylora/contract';
import { GGML_BLOCKS } from '@qdylora/quant';
import { expect, it } from 'vitest';
import { readValues } from './read-values.ts';

it('packed blocks become the values that their layout says, and nothing else stays in memory', () => {
  const backend = createHostBackend(), rng = createRng(3);
  for (const [type, { length, bytes, dequantize }] of GGML_BLOCKS) {
    const packed = Uint8Array.from({ length: 6 * bytes }, (_, i) => rng.named(type).words(i)[0] & 255), want = new Float32Array(6 * length), { liveBytes } = backend.memory.usage();
    dequantize(packed, want);
    const values = { dtype: type, byteLength: packed.length, readInto: (target: Uint8Array) => target.set(packed), readFloat32Into: () => expect.unreachable() };
    const view = readValues(backend, values, [3, 2 * length]);
    expect([view.dtype, view.shape, elementsOf(view)], type).toEqual(['f32', [3, 2 * length], want]);
    backend.memory.release(view);
    expect(backend.memory.usage().liveBytes).toBe(liveBytes);
  }
});
