import { repeatedCall, runOp, type ArrayView, type Op } from '@qdylora/contract';
import { linear } from '@qdylora/tensor';
import { checkKernel } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';
import type { CublasCalls } from '../src/addon/addon-functions.ts';
import { enterDevice, type DeviceContext } from '../src/driver/device-context.ts';
import { openDriver } from '../src/driver/open-driver.ts';
import { createCudaBackend, createDryCudaBackend, type CudaBackendOptions } from '../src/index.ts';
import { CudaStorage } from '../src/memory/cuda-storage.ts';
import { createCublasProducts } from '../src/products/cublas-products.ts';
import { findCublas } from '../src/products/find-cublas.ts';
import { NOTHING, openFakeDriver, withFakeBackend, withFakeDriver, type LoggedCall } from './fake-driver.ts';
import { halvedCall, smallCalls, type SmallCall } from './small-calls.ts';

// Products by a cuBLASLt that works without a GPU (fake-driver/blas.h): it refuses sizes, leading dimensions,
// alignments and workspaces that do not fit, and multiplies when the stream gets there.

const library = (await openFakeDriver())!;

/** The library for every product that it can compute. */
const BY_LIBRARY: CudaBackendOptions = { products: 'library', cublasPath: library };

const countOf = (calls: readonly LoggedCall[], wanted: string): number =>
  calls.filter(({ name }) => name === wanted).length;

/** Sizes whose rows are whole groups of 16 bytes, in both types. */
const SIZES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  linear: { tokens: 9, out: 16, columns: 72 },
  'linear-input-gradient': { tokens: 9, out: 72, columns: 16 },
  'linear-weight-gradient': { tokens: 72, out: 16, columns: 24 },
  'matmul-nf4': { tokens: 9, rows: 16, cols: 128 },
  'matmul-nf4-input-gradient': { tokens: 9, rows: 16, cols: 128 },
  'adapted-linear': { tokens: 9, rows: 16, cols: 128, r: 8 },
  'adapted-linear-backward': { tokens: 9, rows: 16, cols: 128, r: 8 },
};

/** Ops most of whose time is that of our own kernels, in the emulator. */
const SLOW = new Set(['matmul-nf4', 'adapted-linear']);

/** Calls of an op in bfloat16, and the same with float32 results. */
const callsOf = (name: string): SmallCall[] =>
  smallCalls([name], SLOW.has(name) ? 4 : 10, { sizes: SIZES[name] })
    .filter(({ call }) => (call.attributes as { computeDtype?: string }).computeDtype === 'bf16')
    .flatMap((one) => {
      const { op, call } = halvedCall(one, 'bf16');
      const attributes = { ...(call.attributes as object), outDtype: 'f32', dxDtype: 'f32' };
      const { suppliedOutputs } = one.call;
      return [
        { op, call },
        { op, call: { ...call, attributes, suppliedOutputs } },
      ];
    });

/** What a call has that the library adds, or leaves to our own kernel. */
function featuresOf({ call }: SmallCall): string[] {
  const { bias, a } = call.inputs as { bias?: unknown; a?: unknown };
  const { accumulate } = call.attributes as { accumulate?: boolean };
  return [bias && 'bias', accumulate && 'sum', a && 'adapter'].filter((name) => typeof name === 'string');
}

describe.skipIf(!library)('products by cuBLASLt', () => {
  test.each([
    ['linear', ['bias']],
    ['linear-input-gradient', ['sum']],
    ['linear-weight-gradient', []],
    ['matmul-nf4', ['bias']],
    ['matmul-nf4-input-gradient', ['sum']],
    ['adapted-linear', ['adapter', 'bias']],
    ['adapted-linear-backward', ['adapter', 'sum']],
  ])('of %s agree with its reference, also with %j', async (name, features) => {
    const multiplied = new Set<string>();
    let products = 0;
    for (const one of callsOf(name)) {
      const logged = await withFakeBackend(
        library,
        'capability=8.0 seed=3',
        (backend) => checkKernel(one.op, [{ label: name, backends: [backend] }], one.call),
        BY_LIBRARY,
      );
      expect(logged.at(-1)!.ledger).toEqual(NOTHING);
      const count = countOf(logged, 'cublasLtMatmul');
      products += count;
      if (count > 0) for (const feature of featuresOf(one)) multiplied.add(feature);
    }
    expect(products).toBeGreaterThan(1);
    expect([...multiplied]).toEqual(expect.arrayContaining(features));
  });

  test('are not used for f32, for unaligned rows, or where the table has nothing like them', async () => {
    const work = (options: CudaBackendOptions, columns: number, computeDtype: 'f32' | 'bf16') =>
      withFakeBackend(
        library,
        'capability=8.0',
        async (backend) => {
          const dtype = computeDtype;
          const x = backend.memory.allocate(dtype, [4, columns]);
          const weight = backend.memory.allocate(dtype, [8, columns]);
          for (const view of [x, weight]) backend.memory.fill(view, (values) => values.fill(0));
          const { y } = runOp(backend, linear, { x, weight }, { computeDtype });
          await backend.memory.read(y);
        },
        options,
      );
    const used = async (...values: Parameters<typeof work>) =>
      countOf(await work(...values), 'cublasLtMatmul');
    expect(await used(BY_LIBRARY, 16, 'bf16')).toBe(1);
    expect(await used(BY_LIBRARY, 12, 'bf16')).toBe(0);
    expect(await used(BY_LIBRARY, 16, 'f32')).toBe(0);
    expect(await used({ ...BY_LIBRARY, products: 'table' }, 16, 'bf16')).toBe(0);
    expect(await used({ ...BY_LIBRARY, products: 'own' }, 16, 'bf16')).toBe(0);
  });

  test('are left to our own kernels where the library has no algorithm, and it is asked once', async () => {
    const logged = await withFakeBackend(
      library,
      'capability=8.0 fail=cublasLtMatmulAlgoGetHeuristic:1:15',
      async (backend) => {
        const x = backend.memory.allocate('bf16', [8, 8]);
        backend.memory.fill(x, (values) => values.fill(0x3f80)); // 1
        for (let call = 0; call < 2; call++) {
          const { y } = runOp(backend, linear, { x, weight: x }, { computeDtype: 'bf16' });
          expect([...(await backend.memory.read(y))]).toEqual(Array<number>(64).fill(8));
        }
      },
      BY_LIBRARY,
    );
    expect(countOf(logged, 'cublasLtMatmul')).toBe(0);
    expect(countOf(logged, 'cublasLtMatmulAlgoGetHeuristic')).toBe(1);
  });

  test('replay as a part of a graph, and see new contents', async () => {
    const logged = await withFakeBackend(
      library,
      'capability=8.0 seed=2',
      async (backend) => {
        const bf16 = (values: number): ArrayView<'bf16'> => {
          const view = backend.memory.allocate('bf16', [8, 8]);
          backend.memory.fill(view, (elements) => elements.fill(values));
          return view;
        };
        const x = bf16(0x3f80); // 1
        const weight = bf16(0x3f80);
        using call = repeatedCall(
          backend,
          (inner) => runOp(inner, linear, { x, weight }, { computeDtype: 'bf16' }).y,
        );
        for (const [bits, sum] of [
          [0x3f80, 8],
          [0x4000, 16],
          [0x4040, 24],
        ]) {
          backend.memory.fill(x, (elements) => elements.fill(bits));
          expect([...(await backend.memory.read(call.run()))]).toEqual(Array<number>(64).fill(sum));
        }
      },
      BY_LIBRARY,
    );
    expect(countOf(logged, 'cublasLtMatmul')).toBe(2); // the first call, and its capture
    expect(countOf(logged, 'cuGraphLaunch')).toBe(2);
  });
});

/** One product on a device of the fake driver, by calls that a test may change. → its result */
async function productOn(seed: number, change: (calls: CublasCalls) => CublasCalls): Promise<number[]> {
  const [rows, columns, depth] = [8, 8, 64];
  const results = new Float32Array(rows * columns);
  const logged = await withFakeDriver(`seed=${seed} capability=8.0`, () => {
    const context: DeviceContext = enterDevice(openDriver({ libraryPath: library }), 0);
    const { driver, stream } = context;
    const found = findCublas(driver, { major: 8, minor: 0 }, library);
    if (!found.isFound) throw new Error(found.reason);
    const products = createCublasProducts(context, change(found.calls));
    const bytes = [2 * rows * depth, 2 * columns * depth, 4 * rows * columns, 1024];
    const at = bytes.map((count) => driver.cuMemAlloc(count));
    const pinned = driver.cuMemHostAlloc(4096, 0);
    const view = (i: number, dtype: 'bf16' | 'f32', shape: readonly number[]) =>
      ({
        dtype,
        shape,
        storage: new CudaStorage({ name: 'device', isHost: false }, at[i], bytes[i]),
        offset: 0,
      }) as never;
    for (const i of [0, 1]) {
      const values = Uint16Array.from({ length: bytes[i] / 2 }, (_, k) => 0x3f00 + ((k * 37 + i * 11) % 500));
      driver.copyToPinned(pinned + 2048 * i, new Uint8Array(values.buffer));
      driver.cuMemcpyHtoDAsync(at[i], pinned + 2048 * i, bytes[i], stream);
    }
    const plan = { form: 'Nt', rows, columns, depth, dtype: 'f32', hasBias: false } as const;
    products.multiply(
      {
        plan,
        a: view(0, 'bf16', [rows, depth]),
        b: view(1, 'bf16', [columns, depth]),
        c: view(2, 'f32', [rows, columns]),
      },
      view(3, 'f32', [256]),
    );
    driver.cuMemcpyDtoHAsync(pinned, at[2], results.byteLength, stream);
    driver.cuStreamSynchronize(stream);
    driver.copyFromPinned(new Uint8Array(results.buffer), pinned);
    products.dispose();
    for (const address of at) driver.cuMemFree(address);
    driver.cuMemFreeHost(pinned);
    context.dispose();
  });
  expect(logged.at(-1)!.ledger).toEqual(NOTHING);
  return [...results];
}

describe.skipIf(!library)('a product', () => {
  test('has the same bits in every order, because no sum is split', async () => {
    const first = await productOn(1, (calls) => calls);
    for (const seed of [2, 3, 4]) expect(await productOn(seed, (calls) => calls)).toEqual(first);
  });

  test('would not, if the library might split sums', async () => {
    const REDUCTIONS = 3;
    const split = (calls: CublasCalls): CublasCalls => ({
      ...calls,
      cublasLtMatmulPreferenceSetAttribute(preference, attribute, value, bytes) {
        if (attribute !== REDUCTIONS)
          calls.cublasLtMatmulPreferenceSetAttribute(preference, attribute, value, bytes);
      },
    });
    const results = [];
    for (const seed of [1, 2, 3, 4]) results.push(JSON.stringify(await productOn(seed, split)));
    expect(new Set(results).size).toBeGreaterThan(1);
  });
});

/** One small product by the library. */
async function smallProduct(settings: string, options: CudaBackendOptions = BY_LIBRARY) {
  let error: unknown;
  const logged = await withFakeDriver(settings, async () => {
    try {
      using backend = await createCudaBackend({ libraryPath: library, regionBytes: 2 ** 16, ...options });
      const x = backend.memory.allocate('bf16', [8, 8]);
      backend.memory.fill(x, (values) => values.fill(0));
      await backend.memory.read(runOp(backend, linear, { x, weight: x }, { computeDtype: 'bf16' }).y);
    } catch (failure) {
      error = failure;
    }
  });
  expect(logged.at(-1)!.ledger).toEqual(NOTHING);
  return { error, logged };
}

describe.skipIf(!library)('a failure of cuBLASLt', () => {
  test('names the call, whichever it is, and leaves nothing', async () => {
    const { error, logged } = await smallProduct('capability=8.0');
    expect(error).toBeUndefined();
    const made = new Set(logged.map(({ name }) => name).filter((name) => name.startsWith('cublasLt')));
    const whileUsed = [...made].filter((name) => !/Destroy|Version/.test(name));
    expect(whileUsed.length).toBeGreaterThan(6);
    for (const name of whileUsed) {
      const { error: failure } = await smallProduct(`capability=8.0 fail=${name}:1:7`);
      expect(failure, name).toMatchObject({
        where: 'cuda',
        details: { call: name, result: 7, errorName: 'CUBLAS_STATUS_INVALID_VALUE' },
      });
    }
  });

  test.each([
    [1, 'NOT_INITIALIZED', 'NATIVE'],
    [3, 'ALLOC_FAILED', 'OUT_OF_MEMORY'],
    [7, 'INVALID_VALUE', 'NATIVE'],
    [8, 'ARCH_MISMATCH', 'UNSUPPORTED'],
    [11, 'MAPPING_ERROR', 'NATIVE'],
    [13, 'EXECUTION_FAILED', 'NATIVE'],
    [14, 'INTERNAL_ERROR', 'NATIVE'],
    [15, 'NOT_SUPPORTED', 'UNSUPPORTED'],
    [16, 'LICENSE_ERROR', 'NATIVE'],
  ])('of status %i is %s, with code %s', async (status, name, code) => {
    const { error } = await smallProduct(`capability=8.0 fail=cublasLtMatmul:1:${status}`);
    expect(error).toMatchObject({ code, details: { result: status, errorName: `CUBLAS_STATUS_${name}` } });
    expect((error as Error).message).toContain(
      `cublasLtMatmul failed with CUBLAS_STATUS_${name} (${status})`,
    );
  });
});

describe.skipIf(!library)('cuBLASLt', () => {
  test.each([
    ['capability=7.5', library, /capability 7\.5 has no tensor cores for bfloat16/],
    ['capability=8.0', 'libno-such-blas.so.12', /libno-such-blas/],
    ['capability=8.0', 'libm.so.6', /lacks cublasLtCreate/],
    ['capability=9.0 cublas=130100', library, /version 13\.1\.0, and the driver knows CUDA 12/],
  ])('is left out on %s with %s, and the backend says why', async (settings, cublasPath, reason) => {
    const logged = await withFakeBackend(
      library,
      settings,
      (backend) => {
        expect(backend.cublas).toMatchObject({
          isFound: false,
          reason: expect.stringMatching(reason) as string,
        });
      },
      { ...BY_LIBRARY, cublasPath },
    );
    expect(countOf(logged, 'cublasLtCreate')).toBe(0);
  });

  test('of version 13 is used by a driver that knows CUDA 13', async () => {
    await withFakeBackend(
      library,
      'capability=9.0 cublas=130100 driver=13000',
      (backend) => {
        expect(backend.cublas).toEqual({ isFound: true, library, version: '13.1.0' });
      },
      BY_LIBRARY,
    );
  });

  test('is counted in a plan: its workspaces, and what it leaves to our own kernels', async () => {
    const { op, call } = callsOf('adapted-linear').find(
      ({ call: { attributes } }) => (attributes as { dxDtype?: string }).dxDtype === 'bf16',
    )!;
    await withFakeBackend(
      library,
      'capability=8.0',
      async (backend) => {
        const peakOf = ({ memory, ...rest }: Parameters<typeof runOp>[0]): number => {
          const inputs = Object.fromEntries(
            Object.entries(call.inputs).map(([name, view]) => [
              name,
              view && memory.allocate(view.dtype, view.shape),
            ]),
          );
          memory.resetPeak();
          const before = memory.usage().liveBytes;
          runOp({ memory, ...rest }, op as Op, inputs, call.attributes);
          return memory.usage().peakBytes - before;
        };
        using dry = createDryCudaBackend(backend);
        using own = createDryCudaBackend();
        const used = peakOf(backend);
        expect(peakOf(dry)).toBe(used);
        expect(peakOf(own)).not.toBe(used);
        await backend.memory.read(backend.memory.allocate('f32', [1]));
      },
      BY_LIBRARY,
    );
  });
});
