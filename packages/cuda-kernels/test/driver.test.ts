import {
  f32View,
  InsufficientMemoryError,
  QdyloraError,
  repeatedCall,
  rowsOf,
  runOp,
  type ArrayView,
} from '@qdylora/contract';
import { copy } from '@qdylora/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildAddon } from '../scripts/build-addon.mjs';
import { versionsAboveFloors } from '../scripts/pack-prebuilt.mjs';
import { createCudaBackend, listCudaDevices, type CudaBackend } from '../src/index.ts';
import { placed, WORK_SIZE, workOf } from './device-work.ts';
import { NOTHING, openFakeDriver, withFakeBackend, withFakeDriver } from './fake-driver.ts';

const library = (await openFakeDriver())!;
const options = { libraryPath: library };

/** Runs the work on a new backend; what it throws is returned. */
const outcomeOf = async (settings: string) => {
  let outcome: Float32Array | Error | undefined;
  const calls = await withFakeDriver(settings, async () => {
    try {
      using backend = await createCudaBackend({ ...options, regionBytes: 2 ** 12 });
      outcome = await workOf(backend);
    } catch (error) {
      outcome = error as Error;
    }
  });
  return { outcome, calls, ledger: calls.at(-1)!.ledger };
};

/** cuMemAlloc_v2 → cuMemAlloc: the name of the call, without its version. */
const bareName = (name: string): string => name.replace(/_v\d+$/, '').replace('WithFlags', '');

describe.skipIf(!library)('the work of a backend', () => {
  test('has the same bits however late and in whatever order the device runs it', async () => {
    const results = [];
    for (const seed of [0, 1, 2, 3, 4, 5]) results.push((await outcomeOf(`seed=${seed}`)).outcome);
    for (const result of results) expect(result).toEqual(results[0]);
    expect(results[0]).toBeInstanceOf(Float32Array);
    expect([...(results[0] as Float32Array).slice(0, 2 * WORK_SIZE)].every((v) => v === 3)).toBe(true);
  });

  test('ends with a typed error at the n-th allocation for every n, and frees everything', async () => {
    for (let n = 1; ; n++) {
      const { outcome, calls, ledger } = await outcomeOf(`fail=cuMemAlloc_v2:${n}:2`);
      expect(ledger).toEqual(NOTHING);
      if (outcome instanceof Float32Array) {
        expect(n).toBeGreaterThan(5);
        return;
      }
      expect(outcome).toBeInstanceOf(InsufficientMemoryError);
      expect(outcome).toMatchObject({ code: 'OUT_OF_MEMORY', where: 'cuda' });
      const { requiredBytes, reservedBytes, liveBytes, totalBytes } = (outcome as QdyloraError).details;
      expect([requiredBytes, totalBytes]).toEqual([expect.any(Number), 2 ** 30]);
      expect(liveBytes as number).toBeLessThanOrEqual(reservedBytes as number);
      expect(calls.filter(({ result }) => result === 2)).toHaveLength(1);
    }
  });

  test('ends with an error that names the call where any call fails, and frees everything', async () => {
    const { calls } = await outcomeOf('');
    const uses = new Map<string, number>();
    for (const { name } of calls) uses.set(name, (uses.get(name) ?? 0) + 1);
    expect(uses.size).toBeGreaterThan(30);
    for (const [name, count] of uses)
      for (let use = 1; use <= count; use++) {
        const { outcome, ledger } = await outcomeOf(`fail=${name}:${use}:801`);
        const isAtEnd = outcome instanceof Float32Array;
        if (!isAtEnd)
          expect(outcome, `${name} ${use}`).toMatchObject({
            code: 'UNSUPPORTED',
            message: expect.stringContaining(`[cuda] ${bareName(name)} failed with `) as string,
            details: { call: bareName(name), result: 801 },
          });
        // what could not be returned stays, and nothing else
        const left = Object.values(ledger).reduce((sum, value) => sum + value, 0);
        const isReturn = /Free|Destroy|Unload|Release|SetCurrent/.test(name);
        expect(left, `${name} ${use}: ${JSON.stringify(ledger)}`).toBeLessThanOrEqual(isReturn ? 1 : 0);
      }
  });

  test('ends with an error that says to restart where the device is lost in the middle', async () => {
    for (const use of [1, 2, 4, 6]) {
      const { outcome, ledger } = await outcomeOf(`fail=cuLaunchKernel:${use}:719`);
      expect(outcome).toMatchObject({
        code: 'NATIVE',
        message: expect.stringMatching(
          /cuLaunchKernel failed with .*\(719\): .*lost\. Start the program again/,
        ) as string,
      });
      expect(ledger).toEqual(NOTHING);
    }
    const { outcome } = await outcomeOf('fail=cuEventSynchronize:1:700');
    expect(outcome).toMatchObject({ code: 'NATIVE', details: { call: 'cuEventSynchronize', result: 700 } });
  });
});

describe.skipIf(!library)('arrays on the device', () => {
  test('hold what was written, of every dtype and in every part', async () => {
    await withFakeBackend(library, 'seed=4', async ({ memory }) => {
      await fc.assert(
        fc.asyncProperty(
          fc.constantFrom('f32', 'bf16', 'i32', 'u8'),
          fc.integer({ min: 0, max: 300 }),
          fc.nat(),
          async (dtype, rows, cut) => {
            const view = memory.allocate(dtype, [rows, 3]);
            const values = Array.from({ length: rows * 3 }, (_, i) => i % 251);
            memory.write(view, values);
            expect([...(await memory.read(view))]).toEqual(values);
            const from = rows && cut % rows;
            const part = rowsOf(view, from, rows);
            expect([...(await memory.read(part))]).toEqual(values.slice(from * 3));
            memory.fill(part, (into) => into.fill(7));
            expect([...(await memory.read(view))]).toEqual(values.fill(7, from * 3));
            memory.release(view);
          },
        ),
        { numRuns: 60 },
      );
    });
  });

  test('larger than all pinned memory are copied whole, also while other copies wait', async () => {
    await withFakeBackend(library, 'seed=5', async ({ memory }) => {
      const length = 5 * 2 ** 20 + 3; // floats: 20 MiB, five segments of the ring
      const values = Float32Array.from({ length }, (_, i) => i);
      const view = memory.allocate('f32', [length]);
      memory.write(view, values);
      const small = memory.allocate('f32', [2]);
      memory.write(small, [1, 2]);
      const early = memory.read(small);
      const whole = memory.read(view);
      memory.write(small, [3, 4]);
      memory.write(view, new Float32Array(length)); // after the read, in order
      expect(Buffer.from((await whole).buffer).equals(Buffer.from(values.buffer))).toBe(true);
      expect([...(await early), ...(await memory.read(small))]).toEqual([1, 2, 3, 4]);
    });
  });

  test('are copies: the caller may change its values after the call', async () => {
    await withFakeBackend(library, '', async ({ memory }) => {
      const values = Float32Array.of(1, 2, 3);
      const view = memory.allocate('f32', [3]);
      memory.write(view, values);
      values.fill(9);
      expect([...(await memory.read(view))]).toEqual([1, 2, 3]);
      expect(() => memory.write(view, [1, 2, 3, 4])).toThrow(/at most 3 values \(got 4\)/);
    });
  });

  test('that are pending when the backend is disposed are still read', async () => {
    let pending: Promise<Float32Array> | undefined;
    const calls = await withFakeBackend(library, '', ({ memory }) => {
      const view = memory.allocate('f32', [2]);
      memory.write(view, [5, 6]);
      pending = memory.read(view);
    });
    expect([...(await pending!)]).toEqual([5, 6]);
    expect(calls.at(-1)!.ledger).toEqual(NOTHING);
  });

  test('cannot be read after their release, and hold NaN until they are written', async () => {
    await withFakeBackend(library, '', async ({ memory }) => {
      const view = memory.allocate('f32', [2]);
      expect([...(await memory.read(view))]).toEqual([NaN, NaN]);
      memory.release(view);
      await expect(memory.read(view)).rejects.toMatchObject({ code: 'DISPOSED' });
    });
  });

  test('too large for what is left get the room of empty regions', async () => {
    const calls = await withFakeBackend(library, 'memory=4194304', ({ memory }) => {
      memory.release(memory.allocate('u8', [3 * 2 ** 20]));
      memory.release(memory.allocate('u8', [3 * 2 ** 20 + 2 ** 16]));
      const live = memory.allocate('u8', [2 ** 20]);
      expect(() => memory.allocate('u8', [2 ** 22])).toThrow(
        expect.objectContaining({ code: 'OUT_OF_MEMORY' }) as Error,
      );
      memory.release(live);
      expect(memory.allocate('u8', [7 * 2 ** 19]).shape).toEqual([7 * 2 ** 19]);
    });
    expect(calls.filter(({ result }) => result === 2).length).toBeGreaterThan(0);
  });

  test('of a backend with memoryBytes share one region, and end with its ledger', async () => {
    const calls = await withFakeBackend(
      library,
      '',
      async (backend) => {
        await workOf(backend);
        expect(() => backend.memory.allocate('u8', [2 ** 22])).toThrow(
          expect.objectContaining({
            code: 'OUT_OF_MEMORY',
            details: expect.objectContaining({ requiredBytes: 2 ** 22, mostBytes: 2 ** 22 }) as object,
          }) as Error,
        );
      },
      { memoryBytes: 2 ** 22 },
    );
    expect(calls.filter(({ name }) => name === 'cuMemAlloc_v2')).toHaveLength(1);
  });
});

describe.skipIf(!library)('recordings', () => {
  test('are one graph launch a replay, and see new contents', async () => {
    const calls = await withFakeBackend(library, '', async (backend) => {
      const x = placed(backend, f32View([3], [1, 2, 3]));
      using call = repeatedCall(backend, (inner) => runOp(inner, copy, { x }, {}).y);
      for (const value of [1, 2, 3]) {
        backend.memory.write(x, [value, value, value]);
        expect([...(await backend.memory.read(call.run()))]).toEqual([value, value, value]);
      }
    });
    const count = (wanted: string): number => calls.filter(({ name }) => name === wanted).length;
    expect([count('cuGraphLaunch'), count('cuGraphInstantiateWithFlags')]).toEqual([2, 1]);
    expect(count('cuLaunchKernel')).toBe(2); // the first call, and its capture
  });

  test('refuse a replay after an array that they read, or their backend, is gone', async () => {
    let recorded: { run(): ArrayView } | undefined;
    await withFakeBackend(library, '', (backend) => {
      const x = placed(backend, f32View([3], [1, 2, 3]));
      recorded = repeatedCall(backend, (inner) => runOp(inner, copy, { x }, {}).y as ArrayView);
      recorded.run();
      backend.memory.release(x);
      expect(() => recorded!.run()).toThrow(expect.objectContaining({ code: 'DISPOSED' }) as Error);
    });
    expect(() => recorded!.run()).toThrow(expect.objectContaining({ code: 'DISPOSED' }) as Error);
  });
});

describe('what cannot run', () => {
  const refusal = async (settings: string, given: object = options): Promise<Error> => {
    let refused: unknown;
    const calls = await withFakeDriver(settings, async () => {
      refused = await createCudaBackend(given).then(
        (backend: CudaBackend) => backend.dispose(),
        (error: unknown) => error,
      );
    });
    expect(calls.at(-1)!.ledger).toEqual(NOTHING);
    return refused as Error;
  };

  test('is one line where there is no driver', async () => {
    const found = listCudaDevices({ libraryPath: 'libno-such-driver.so.1' });
    expect(found).toEqual({
      available: false,
      hasDriver: false,
      reason: expect.stringMatching(/^\[cuda\] there is no NVIDIA driver here \(libno-such.*\n?/) as string,
    });
    await expect(createCudaBackend({ libraryPath: 'libno-such-driver.so.1' })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    });
  });

  test.skipIf(!library).each([
    ['devices=0', /cuInit failed with .*\(100\): the NVIDIA driver shows no GPU to this process\./],
    ['driver=11080', /the NVIDIA driver is too old: it knows CUDA 11\.8\. Update it to R525/],
    ['capability=6.1', /no kernels for compute capability 6\.1/],
  ])('is one line for a fake driver with %s', async (settings, message) => {
    const error = await refusal(settings);
    expect(error).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringMatching(message) as string });
    expect(error.message).not.toContain('\n');
  });

  test.skipIf(!library)('is refused by number, and by the driver of a library that is none', async () => {
    expect(await refusal('', { ...options, device: 3 })).toMatchObject({ code: 'UNSUPPORTED' });
    await expect(createCudaBackend({ libraryPath: 'libm.so.6' })).rejects.toMatchObject({
      message: expect.stringContaining('too old: its library lacks cuInit') as string,
    });
    await expect(createCudaBackend({ devise: 1 } as object)).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
  });

  test.skipIf(!library)('is said when PTX is newer than the driver', async () => {
    const calls = withFakeBackend(library, 'capability=11.0 driver=12080', async (backend) => {
      const x = placed(backend, f32View([1], [1]));
      expect(() => runOp(backend, copy, { x }, {})).toThrow(/older than the PTX of the kernel/);
    });
    expect((await calls).at(-1)!.ledger).toEqual(NOTHING);
  });
});

test.skipIf(!library)('devices are listed as the driver describes them', async () => {
  await withFakeDriver('capability=8.6 memory=8589934592 devices=2 driver=12040', () => {
    expect(listCudaDevices(options)).toEqual({
      available: true,
      driver: '12.4',
      devices: [0, 1].map((index) => ({
        index,
        name: 'Fake GPU',
        capability: { major: 8, minor: 6 },
        memoryBytes: 8589934592,
        multiprocessors: 2,
        pciAddress: `0000:${(0x17 + index).toString(16)}:00`,
      })),
    });
  });
});

test.skipIf(!library || process.arch !== 'x64')('the addon runs on glibc 2.28', async () => {
  const { path } = await buildAddon();
  expect(versionsAboveFloors(path!)).toEqual([]);
});
