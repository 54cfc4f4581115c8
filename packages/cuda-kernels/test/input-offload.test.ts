import { kernelTable, scratchIn, CONTRACT_VERSION, type Backend } from '@qdylora/contract';
import {
  apply,
  backward,
  createInputOffload,
  differentiableActivationGate,
  differentiableAdd,
  inferenceContext,
  leaf,
  recompute,
  Tape,
  type FloatTensor,
  type ForwardContext,
  type OffloadingBackend,
} from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';
import { openCubins } from '../src/archive/open-cubins.ts';
import { enterDevice, type DeviceContext } from '../src/driver/device-context.ts';
import { openDriver } from '../src/driver/open-driver.ts';
import { cudaKernels } from '../src/kernel-table.ts';
import { createLauncher } from '../src/launch/launcher.ts';
import { createCudaMemory } from '../src/memory/create-cuda-memory.ts';
import { openPinnedPages } from '../src/memory/pinned-pages.ts';
import { regionsOfDevice } from '../src/memory/region-source.ts';
import { StagingRing } from '../src/memory/staging-ring.ts';
import { placed } from './device-work.ts';
import { NOTHING, openFakeDriver, withFakeDriver } from './fake-driver.ts';

// A chain of recomputed blocks on the fake driver, whose streams run as late as they may and in any order.

const library = (await openFakeDriver())!;
const cubins = await openCubins();
const SEEDS = [1, 2, 3, 4, 5, 6];
const [FEW, MORE] = [5, 8];
const SHAPE = [4, 8] as const;
const X_BYTES = 4 * SHAPE[0] * SHAPE[1];

/** The wait that is left out: of copies for compute, of compute for an input that has left or comes back. */
type Wait = 'compute' | 'departure' | 'arrival';

/** A backend of the parts that `createCudaBackend` has, whose page store leaves one kind of waits out. */
function openParts(context: DeviceContext, without: Wait | null) {
  const { driver, stream } = context;
  const staging = new StagingRing(context);
  const launcher = createLauncher(context, cubins, 'sm_80');
  const memory = createCudaMemory({
    name: 'cuda',
    space: { name: 'cuda:0', isHost: false },
    regions: regionsOfDevice(context),
    staging,
    regionBytes: 2 ** 12,
  });
  const kernels = kernelTable(cudaKernels({ launch: launcher.launch, withScratch: scratchIn(memory) }));
  const openStore = (byteLength: number) => {
    let move: Wait = 'departure';
    const cuStreamWaitEvent: typeof driver.cuStreamWaitEvent = (waiting, event, flags) => {
      const kind = waiting === stream ? move : 'compute';
      if (kind !== without) driver.cuStreamWaitEvent(waiting, event, flags);
    };
    const store = openPinnedPages({ ...context, driver: { ...driver, cuStreamWaitEvent } }, byteLength);
    return {
      ...store,
      read: (offset, arrays) => {
        const arrival = store.read(offset, arrays);
        return {
          wait() {
            move = 'arrival';
            arrival.wait();
            move = 'departure';
          },
        };
      },
    } satisfies typeof store;
  };
  const backend: OffloadingBackend = {
    name: 'cuda',
    contractVersion: CONTRACT_VERSION,
    memory,
    kernel: (opName) => kernels.get(opName)?.run,
    openPageStore: openStore,
  };
  const dispose = (): void => {
    staging.dispose();
    memory.dispose();
    launcher.dispose();
  };
  return { backend, dispose };
}

/** x · silu(x) + x: its gradient reads x. */
function block(ctx: ForwardContext, x: FloatTensor): FloatTensor {
  const product = apply(ctx, differentiableActivationGate, { gate: x, up: x }, { kind: 'silu' }).y;
  return apply(ctx, differentiableAdd, { a: x, b: product }, {}).y;
}

/** Runs the chain forward and backward twice. → the gradients of its first input, and the peak in between */
async function gradientsOf(backend: Backend, blocks: number, offload: ForwardContext['offload']) {
  const { memory } = backend;
  const seed = placed(backend, normalView(1, 'dy', SHAPE));
  const gradients: number[] = [];
  let peakBytes = 0;
  for (const pass of [1, 2]) {
    const first = leaf(placed(backend, normalView(pass, 'x', SHAPE)));
    const before = memory.usage().liveBytes;
    memory.resetPeak();
    const dx = memory.scoped(
      () => {
        const tape = new Tape(backend);
        const ctx = { ...inferenceContext(backend), tape };
        offload?.reserve(blocks - 1, X_BYTES);
        let x: FloatTensor = block(ctx, first);
        for (let i = 1; i < blocks; i++) x = recompute({ ...ctx, offload }, x, block);
        return backward(tape, x, { seed, leaves: [first] })[0]!;
      },
      (gradient) => [gradient],
    );
    peakBytes = Math.max(peakBytes, memory.usage().peakBytes - before);
    gradients.push(...(await memory.read(dx)));
  }
  return { gradients, peakBytes };
}

interface Chain {
  readonly blocks: number;
  readonly isOffloaded: boolean;
  readonly without?: Wait;
}

/** The chain on a device of the fake driver. */
async function onDevice(seed: number, { blocks, isOffloaded, without }: Chain) {
  let result: Awaited<ReturnType<typeof gradientsOf>>;
  const calls = await withFakeDriver(`seed=${seed} capability=8.0`, async () => {
    const context = enterDevice(openDriver({ libraryPath: library }), 0);
    const { backend, dispose } = openParts(context, without ?? null);
    const offload = isOffloaded ? createInputOffload(backend) : null;
    try {
      result = await gradientsOf(backend, blocks, offload);
    } finally {
      offload?.dispose();
      dispose();
      context.dispose();
    }
  });
  expect(calls.at(-1)!.ledger).toEqual(NOTHING);
  return result!;
}

describe.skipIf(!library)('inputs of recomputed blocks in pinned memory', () => {
  test('give the same bits, however late both streams run', async () => {
    const { gradients: expected } = await onDevice(1, { blocks: FEW, isOffloaded: false });
    expect(expected.every(Number.isFinite)).toBe(true);
    for (const seed of SEEDS) {
      const { gradients } = await onDevice(seed, { blocks: FEW, isOffloaded: true });
      expect(gradients).toEqual(expected);
    }
  });

  test('take as much of the device for many blocks as for few', async () => {
    const growth = async (isOffloaded: boolean): Promise<number> => {
      const [few, more] = [
        await onDevice(1, { blocks: FEW, isOffloaded }),
        await onDevice(1, { blocks: MORE, isOffloaded }),
      ];
      return more.peakBytes - few.peakBytes;
    };
    expect(await growth(false)).toBe((MORE - FEW) * X_BYTES);
    expect(await growth(true)).toBe(0);
  });

  test.each(['compute', 'departure', 'arrival'] as const)(
    'are wrong for some order of the streams without the waits for %s',
    async (without) => {
      const { gradients: expected } = await onDevice(1, { blocks: FEW, isOffloaded: false });
      let wrong = 0;
      for (const seed of SEEDS) {
        const { gradients } = await onDevice(seed, { blocks: FEW, isOffloaded: true, without });
        if (JSON.stringify(gradients) !== JSON.stringify(expected)) wrong++;
      }
      expect(wrong).toBeGreaterThan(0);
    },
  );
});
