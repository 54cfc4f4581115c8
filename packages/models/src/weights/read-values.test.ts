import { createHostBackend, createRng, hostData, type Backend } from '@qdylora/contract';
import { GGML_BLOCKS } from '@qdylora/quant';
import { expect, it } from 'vitest';
import { pieceFor, readValues } from './read-values.ts';

it('packed blocks become the values that their layout says, and nothing else stays in memory', () => {
  const backend = createHostBackend();
  const rng = createRng(3);
  for (const [type, { length, bytes, dequantize }] of GGML_BLOCKS) {
    const packed = Uint8Array.from({ length: 6 * bytes }, (_, i) => rng.named(type).words(i)[0] & 255);
    const want = new Float32Array(6 * length);
    const { liveBytes } = backend.memory.usage();
    dequantize(packed, want);
    const values = {
      dtype: type,
      byteLength: packed.length,
      readInto: (target: Uint8Array) => target.set(packed),
      readFloat32Into: () => expect.unreachable(),
    };
    const view = readValues(backend, values, [3, 2 * length]);
    expect([view.dtype, view.shape, hostData(view)], type).toEqual(['f32', [3, 2 * length], want]);
    backend.memory.release(view);
    expect(backend.memory.usage().liveBytes).toBe(liveBytes);
  }
});

it(
  'more blocks than are read at a time come in pieces, which follow each other without a gap, in the one ' +
    'place that there is for them',
  () => {
    const { memory, ...backend } = createHostBackend();
    const { bytes, length, dequantize } = GGML_BLOCKS.get('Q4_1')!;
    const count = 120_001;
    const packed = new Uint8Array(count * bytes);
    const rng = createRng(5).named('blocks');
    for (let block = 0; block < count; block++)
      new DataView(packed.buffer).setUint32(block * bytes + 4 + 4 * (block % 4), rng.words(block)[0]);
    for (let block = 0; block < count; block++)
      new DataView(packed.buffer).setUint16(block * bytes, 0x3c00 + (block % 512), true);
    const want = new Float32Array(count * length);
    const places: number[] = [];
    dequantize(packed, want);
    const entry = {
      dtype: 'Q4_1',
      byteLength: packed.length,
      readFloat32Into: () => expect.unreachable(),
      readInto: (target: Uint8Array, at = 0) => {
        places.push(at, target.length);
        target.set(packed.subarray(at, at + target.length));
      },
    };
    const whole: Backend = { memory, ...backend };
    const piece = pieceFor(whole, [{ dtype: 'F32' }, entry]);
    const before = memory.usage().peakBytes;
    expect(pieceFor(whole, [{ dtype: 'F32' }])).toBeUndefined();
    const got = hostData(readValues(whole, { ...entry, piece }, [count, length]));
    const differs = want.findIndex((value, i) => value !== got[i]);
    expect([differs, places.reduce((sum, n, i) => sum + (i % 2 ? n : 0), 0)]).toEqual([-1, packed.length]);
    expect(Math.max(...places.filter((_, i) => i % 2))).toBeLessThanOrEqual(2 ** 20);
    expect(memory.usage().peakBytes - before).toBe(4 * count * length);
  },
);
