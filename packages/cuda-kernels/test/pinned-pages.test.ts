import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AddressSpace, ArrayView, PageStore } from '@qdylora/contract';
import { describe, expect, test } from 'vitest';
import type { CudaDriver, Handle } from '../src/addon/addon-functions.ts';
import { enterDevice, type DeviceContext } from '../src/driver/device-context.ts';
import { openDriver } from '../src/driver/open-driver.ts';
import { CudaStorage } from '../src/memory/cuda-storage.ts';
import { openPinnedPages } from '../src/memory/pinned-pages.ts';
import { NOTHING, openFakeDriver, withFakeBackend, withFakeDriver } from './fake-driver.ts';

// Streams of the fake driver run as late as they may, and in any order: an event that nobody waits for shows.

const library = (await openFakeDriver())!;
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];

const [PAGES, ROUNDS, WORDS] = [5, 3, 16];
const PAGE_BYTES = 4 * WORDS;

/** What a page holds after round `round`; the pages of round 0 are zero. */
const valueAt = (round: number, page: number): number => (round === 0 ? 0 : 100 * round + page);

type WaitKind = 'read' | 'write' | 'arrival';

interface Rounds {
  /** Two slots: the next page comes in while one is updated. */
  readonly isDoubleBuffered: boolean;
  /** Events of this kind are not waited for. */
  readonly without?: WaitKind;
}

/** Runs `body` on a device of the fake driver. */
async function onDevice<T>(seed: number, body: (context: DeviceContext) => T): Promise<T> {
  let result: T;
  const calls = await withFakeDriver(`seed=${seed}`, () => {
    const context = enterDevice(openDriver({ libraryPath: library }), 0);
    try {
      result = body(context);
    } finally {
      context.dispose();
    }
  });
  expect(calls.at(-1)!.ledger).toEqual(NOTHING);
  return result!;
}

const SPACE: AddressSpace = { name: 'device', isHost: false };
const viewAt = (address: Handle): ArrayView => ({
  dtype: 'f32',
  shape: [WORDS],
  storage: new CudaStorage(SPACE, address, PAGE_BYTES),
  offset: 0,
});

/** The driver without the waits of one kind. `kind` says which one the next wait is. */
const withoutWaits = (
  driver: CudaDriver,
  kind: () => WaitKind,
  without: WaitKind | undefined,
): CudaDriver => ({
  ...driver,
  cuStreamWaitEvent(...values) {
    if (kind() !== without) driver.cuStreamWaitEvent(...values);
  },
});

/**
 * Rounds of updates as an optimizer makes them, then one that only reads: each page comes in, is copied to
 * the result, and gets its next value.
 *
 * @returns the first word of each page of each round
 */
function runRounds(
  { driver: whole, ...context }: DeviceContext,
  { isDoubleBuffered, without }: Rounds,
): number[] {
  let kind: WaitKind = 'read';
  const driver = withoutWaits(whole, () => kind, without);
  const results = whole.cuMemAlloc((ROUNDS + 1) * PAGES * PAGE_BYTES);
  const slots = whole.cuMemAlloc(2 * PAGE_BYTES);
  const host = whole.cuMemHostAlloc((ROUNDS + 1) * PAGES * PAGE_BYTES, 0);
  const store = openPinnedPages({ ...context, driver }, PAGES * PAGE_BYTES);
  const named = <T>(name: WaitKind, call: () => T): T => {
    kind = name;
    return call();
  };
  let turn = 0;
  const bringIn = (page: number) => {
    const slot = slots + (isDoubleBuffered ? turn++ % 2 : 0) * PAGE_BYTES;
    return { slot, arrival: named('read', () => store.read(page * PAGE_BYTES, [viewAt(slot)])) };
  };
  for (let round = 0; round <= ROUNDS; round++) {
    let next = bringIn(0);
    for (let page = 0; page < PAGES; page++) {
      const { slot, arrival } = next;
      if (isDoubleBuffered && page + 1 < PAGES) next = bringIn(page + 1);
      named('arrival', () => arrival.wait());
      const result = results + (round * PAGES + page) * PAGE_BYTES;
      driver.cuMemcpyDtoDAsync(result, slot, PAGE_BYTES, context.stream);
      if (round < ROUNDS) {
        driver.cuMemsetD32Async(slot, valueAt(round + 1, page), WORDS, context.stream);
        named('write', () => store.write(page * PAGE_BYTES, [viewAt(slot)]));
      }
      if (!isDoubleBuffered && page + 1 < PAGES) next = bringIn(page + 1);
    }
  }
  const words = new Uint32Array((ROUNDS + 1) * PAGES * WORDS);
  whole.cuMemcpyDtoHAsync(host, results, words.byteLength, context.stream);
  whole.cuStreamSynchronize(context.stream);
  whole.copyFromPinned(new Uint8Array(words.buffer), host);
  store.dispose();
  store.dispose();
  for (const address of [results, slots]) whole.cuMemFree(address);
  whole.cuMemFreeHost(host);
  return Array.from({ length: (ROUNDS + 1) * PAGES }, (_, i) => words[i * WORDS]);
}

const expected = Array.from({ length: ROUNDS + 1 }, (_, round) =>
  Array.from({ length: PAGES }, (_, page) => valueAt(round, page)),
).flat();

describe.skipIf(!library)('pages in pinned memory', () => {
  test.each([false, true])(
    'hold what was written last, however late both streams run (two slots: %s)',
    async (isDoubleBuffered) => {
      for (const seed of SEEDS)
        expect(await onDevice(seed, (context) => runRounds(context, { isDoubleBuffered }))).toEqual(expected);
    },
  );

  test.each(['read', 'write', 'arrival'] as const)(
    'are wrong for some order of the streams without the events of %s',
    async (without) => {
      const results = [];
      for (const seed of SEEDS)
        results.push(
          await onDevice(seed, (context) => runRounds(context, { isDoubleBuffered: true, without })),
        );
      expect(results.some((one) => JSON.stringify(one) !== JSON.stringify(expected))).toBe(true);
    },
  );

  test('are refused where the system has no pinned memory, and after dispose', async () => {
    let refused: unknown;
    await withFakeDriver('fail=cuMemHostAlloc:1:2', () => {
      const context = enterDevice(openDriver({ libraryPath: library }), 0);
      try {
        openPinnedPages(context, 4096);
      } catch (error) {
        refused = error;
      }
      context.dispose();
    });
    expect(refused).toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringContaining('the system has no 4096 bytes of pinned memory for pages') as string,
    });
    const late = await onDevice(1, (context) => {
      const store: PageStore = openPinnedPages(context, 4096);
      store.dispose();
      return () => store.read(0, []);
    });
    expect(late).toThrow(expect.objectContaining({ code: 'DISPOSED' }) as Error);
  });

  test('are forgotten by their backend once they are disposed', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    await withFakeBackend(library, '', async (backend) => {
      const disposed = (() => {
        const store = backend.openPageStore!(4096);
        store.dispose();
        return new WeakRef(store);
      })();
      await setImmediate(); // until then a WeakRef keeps what it names
      collectGarbage();
      expect(disposed.deref()).toBeUndefined();
    });
  });

  test('leave nothing behind where any call of their making fails', async () => {
    for (const call of ['cuStreamCreate:2', 'cuEventCreate:1']) {
      const calls = await withFakeDriver(`fail=${call}:801`, () => {
        const context = enterDevice(openDriver({ libraryPath: library }), 0);
        expect(() => openPinnedPages(context, 64)).toThrow(/failed with/);
        context.dispose();
      });
      expect(calls.at(-1)!.ledger).toEqual(NOTHING);
    }
  });
});
