import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hostData,
  createHostBackend,
  createHostMemory,
  createRng,
  defineOp,
  f32Array,
  f32View,
  float16Array,
  float32FromFloat16,
  fromBfloat16,
  fromFloat16,
  philox2x32,
  QdyloraError,
  rowsOf,
  runOp,
  shuffledIndices,
  toBfloat16,
  toFloat16,
  type ArrayView,
} from './index.ts';

describe('bfloat16 and float16', () => {
  test('every bfloat16 survives the way to float32 and back', () => {
    for (let h = 0; h < 65536; h++)
      if (!Number.isNaN(fromBfloat16(h))) expect(toBfloat16(fromBfloat16(h))).toBe(h);
  });
  test('every float16 survives the way to float32 and back', () => {
    for (let h = 0; h < 65536; h++)
      if (!Number.isNaN(fromFloat16(h))) expect(toFloat16(fromFloat16(h))).toBe(h);
    expect(float32FromFloat16(Uint16Array.from({ length: 65536 }, (_, h) => h))).toEqual(
      Float32Array.from({ length: 65536 }, (_, h) => fromFloat16(h)),
    );
  });
  test('no other float16 or bfloat16 is nearer than the chosen one', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true, min: -60000, max: 60000 }), (x) => {
        for (const [to, from] of [
          [toFloat16, fromFloat16],
          [toBfloat16, fromBfloat16],
        ] as const) {
          const half = to(x);
          const error = Math.abs(from(half) - x);
          for (const other of [half - 1, half + 1])
            if (other >= 0 && other < 65536)
              expect(Math.abs(from(other) - x) >= error || Number.isNaN(from(other))).toBe(true);
        }
      }),
    );
  });
  test(
    'an array of float16 has the bits of each number alone: around every half, on every middle, past ' +
      'the largest, NaN and infinities',
    () => {
      const halves = Float32Array.from({ length: 0x7c00 }, (_, h) => fromFloat16(h));
      const middles = halves.map((x, h) => (x + (halves[h + 1] ?? 65536)) / 2);
      const neighbours = new Uint32Array(middles.slice().buffer);
      const below = new Float32Array(neighbours.map((bits) => bits - 1).buffer);
      const above = new Float32Array(neighbours.map((bits) => bits + 1).buffer);
      const all = Float32Array.from(
        [
          ...halves,
          ...middles,
          ...below,
          ...above,
          65519,
          65520,
          1e30,
          Infinity,
          NaN,
          0,
          2 ** -149,
          2 ** -25,
        ].flatMap((x) => [x, -x]),
      );
      expect(float16Array(all)).toEqual(Uint16Array.from(all, toFloat16));
    },
  );
});

describe('the generator', () => {
  test('gives the words of the published Philox 2x32-10', () => {
    // known answers of Random123 (kat_vectors: philox2x32 10)
    expect(philox2x32(0, 0, 0)).toEqual([0xff1dae59, 0x6cd10df2]);
    expect(philox2x32(0xffffffff, 0xffffffff, 0xffffffff)).toEqual([0x2c3f628b, 0xab4fd7ad]);
    expect(philox2x32(0x243f6a88, 0x85a308d3, 0x13198a2e)).toEqual([0xdd7ce038, 0xf62a4c12]);
  });
  test('is a function of seed, name and counter, and differs between names', () => {
    const rng = createRng(7);
    expect(createRng(7).named('rank').uniform(3)).toBe(rng.named('rank').uniform(3));
    expect(rng.named('rank').uniform(3)).not.toBe(rng.named('dropout').uniform(3));
  });
  test('shuffles every index exactly once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), fc.nat(), (length, epoch) => {
        expect(Array.from(shuffledIndices(length, createRng(1), epoch)).sort((a, b) => a - b)).toEqual(
          Array.from({ length }, (_, i) => i),
        );
      }),
    );
  });
});

describe('host memory', () => {
  test('bytes that JavaScript cannot allocate are OUT_OF_MEMORY with their number', () => {
    expect(() => createHostMemory().allocate('f32', [2 ** 45])).toThrow(
      expect.objectContaining({
        code: 'OUT_OF_MEMORY',
        details: expect.objectContaining({ requiredBytes: 2 ** 47 }) as object,
      }),
    );
  });
  test('an array that postMessage copied is refused as a copy, not as one of a device', () => {
    const view = f32View([2], [1, 2]);
    const cloned = { ...view, storage: { ...view.storage } as typeof view.storage }; // no class
    for (const copy of [cloned, JSON.parse(JSON.stringify(view)) as typeof view])
      expect(() => hostData(copy)).toThrow(/is a copy that is no array any more.*viewOf/);
  });
  test('never lends the same byte twice, whatever the order of allocations and releases', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.boolean())), (script) => {
        const memory = createHostMemory({ regionBytes: 4096 });
        const live: ArrayView[] = [];
        for (const [i, [length, drop]] of script.entries()) {
          const view = memory.allocate('f32', [length]);
          hostData(view).fill(i);
          live.push(view);
          if (drop) memory.release(live.splice(length % live.length, 1)[0]);
        }
        const stamps = live.map((view) => new Set(hostData(view)));
        for (const stamp of stamps) expect(stamp.size).toBeLessThanOrEqual(1);
        for (const view of live) memory.release(view);
        expect(memory.usage().liveBytes).toBe(0);
      }),
    );
  });
  test('takes back everything of a scope but what is kept', () => {
    const memory = createHostMemory();
    const kept = memory.scoped(
      () => {
        memory.allocate('f32', [1000]);
        return memory.allocate('f32', [16]);
      },
      (view) => [view],
    );
    expect(memory.usage().liveBytes).toBe(64);
    memory.release(kept);
    expect(memory.usage()).toMatchObject({ liveBytes: 0 });
  });
  test('trim gives back the regions that hold nothing, and keeps what lives', () => {
    const returned: ArrayBufferLike[] = [];
    const memory = createHostMemory({ regionBytes: 4096, unreserve: (buffer) => returned.push(buffer) });
    const kept = memory.allocate('f32', [1000]);
    const dropped = memory.allocate('f32', [1000]);
    hostData(kept).fill(7);
    memory.release(dropped);
    memory.trim();
    expect([
      returned.length,
      memory.usage().reservedBytes,
      hostData(kept).every((x) => x === 7),
      memory.allocate('f32', [1000]).shape,
    ]).toEqual([1, 4096, true, [1000]]);
  });
  test('trim shows every gap in a region that something lies in, once, and no byte of what lives', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ length: fc.integer({ min: 1, max: 200 }), kept: fc.boolean() }), {
          minLength: 1,
          maxLength: 20,
        }),
        (wanted) => {
          const memory = createHostMemory({
            regionBytes: 4096,
            discard: (buffer, offset, bytes) => new Uint8Array(buffer, offset, bytes).fill(0),
          });
          const arrays = wanted.map(({ length, kept }) => ({
            kept,
            length,
            view: memory.allocate('f32', [length]),
          }));
          const buffers = new Set(arrays.map(({ view }) => hostData(view).buffer));
          for (const { view } of arrays) hostData(view).fill(7);
          for (const { kept, view } of arrays) if (!kept) memory.release(view);
          memory.trim();
          const reservedBuffers = [...buffers].filter((buffer) =>
            arrays.some(({ kept, view }) => kept && hostData(view).buffer === buffer),
          );
          const sevens = reservedBuffers.reduce(
            (sum, buffer) => sum + new Float32Array(buffer).filter((x) => x === 7).length,
            0,
          );
          expect(sevens).toBe(arrays.reduce((sum, { kept, length }) => sum + (kept ? length : 0), 0));
        },
      ),
    );
  });
  test('after trim what lies behind the last block counts as untouched only where its RAM went back', () => {
    for (const discard of [undefined, () => {}]) {
      const memory = createHostMemory({ regionBytes: 4096, discard });
      const [, second] = [memory.allocate('f32', [16]), memory.allocate('f32', [512])];
      memory.release(second);
      memory.trim();
      expect(memory.usage().touchedBytes).toBe(64 + (discard ? 0 : 2048));
    }
  });
  test('the peak of touched memory outlives trim and dispose', () => {
    const memory = createHostMemory({ regionBytes: 4096, discard: () => {} });
    memory.release([memory.allocate('f32', [16]), memory.allocate('f32', [512])][1]);
    memory.release(memory.allocate('f32', [2048])); // in a region of its own, which trim gives back
    memory.trim();
    expect(memory.usage()).toMatchObject({ touchedBytes: 64, peakTouchedBytes: 64 + 2048 + 8192 });
    memory.allocate('f32', [16]);
    memory.dispose();
    expect(memory.usage()).toMatchObject({ touchedBytes: 0, peakTouchedBytes: 64 + 2048 + 8192 });
  });
  test('refuses work after dispose', () => {
    const memory = createHostMemory();
    memory.dispose();
    expect(() => memory.allocate('f32', [1])).toThrowError(/disposed/);
  });
});

describe('running an op', () => {
  const double = defineOp({
    name: 'double',
    takes: { x: f32Array(null) },
    shapes: (i: { x: ArrayView<'f32'> }, _: object) => ({ y: { dtype: 'f32' as const, shape: i.x.shape } }),
    reference({ x }, { y }: { y: ArrayView<'f32'> }) {
      for (let i = 0; i < hostData(y).length; i++) hostData(y)[i] = 2 * hostData(x)[i];
    },
  });
  test('refuses an output of another shape by name', () => {
    const error = (() => {
      try {
        return runOp(createHostBackend(), double, { x: f32View([2]) }, {}, { y: f32View([3]) });
      } catch (e) {
        return e;
      }
    })();
    expect(QdyloraError.isInstance(error) && error.message).toMatch(
      /\[double\] the output y must be f32 \[2\], but it is f32 \[3\]/,
    );
  });
  test('sees only its rows through a row range', () => {
    expect(Array.from(hostData(rowsOf(f32View([3, 2], [1, 2, 3, 4, 5, 6]), 1, 2)))).toEqual([3, 4]);
  });
});
