import { byteLengthOf, DisposedError, QdyloraError, type ArrayView, type PageStore } from '@qdylora/contract';
import type { Handle } from '../addon/addon-functions.ts';
import { OUT_OF_MEMORY } from '../driver/cuda-error.ts';
import { ignoringFailures, type DeviceContext } from '../driver/device-context.ts';
import { EVENT_DISABLE_TIMING, STREAM_NON_BLOCKING } from '../driver/flags.ts';
import { addressOf } from './cuda-storage.ts';

/** Zeros are copied in pieces of this size. */
const ZEROS_BYTES = 2 ** 20;

/**
 * Pages in pinned host memory, zero at first. All copies are on one stream of their own, in order, so a page
 * that is read again has what was written to it. Two kinds of events order them with the compute stream:
 *
 * - a copy in either direction waits for all work that is enqueued before it: work that still uses the arrays
 *   that `read` overwrites, or computes the numbers that `write` stores;
 * - compute waits for the copies of `read` and of `write` where `wait` is called.
 *
 * @throws QdyloraError OUT_OF_MEMORY where the system has no pinned memory of that size
 */
export function openPinnedPages(context: DeviceContext, byteLength: number): PageStore {
  const { driver } = context;
  const pinned = allocatePinned(context, byteLength);
  // undone in reverse order: the stream is synchronized, then destroyed, then the memory is freed
  const undo: (() => void)[] = [() => driver.cuMemFreeHost(pinned)];
  const dispose = (): void => ignoringFailures(...undo.splice(0).reverse());
  const createEvent = (): Handle => {
    const event = driver.cuEventCreate(EVENT_DISABLE_TIMING);
    undo.push(() => driver.cuEventDestroy(event));
    return event;
  };
  try {
    const copies = driver.cuStreamCreate(STREAM_NON_BLOCKING);
    undo.push(() => driver.cuStreamDestroy(copies));
    const computed = createEvent();
    undo.push(() => driver.cuStreamSynchronize(copies));
    fillWithZeros(context, pinned, byteLength);
    const assertOpen = (): void => {
      if (undo.length === 0) throw new DisposedError('page store');
    };
    const moves = pageMoves({ context, pinned, copies, computed, createEvent, assertOpen });
    return { byteLength, ...moves, dispose, [Symbol.dispose]: dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** What the copies of a page store use. */
interface PageMoveParts {
  readonly context: DeviceContext;
  readonly pinned: Handle;
  /** The stream of the copies. */
  readonly copies: Handle;
  /** Marks the work that copies come after. */
  readonly computed: Handle;
  createEvent(): Handle;
  /** @throws DisposedError */
  assertOpen(): void;
}

function pageMoves({
  context: { driver, stream: compute },
  pinned,
  copies,
  computed,
  createEvent,
  assertOpen,
}: PageMoveParts): Pick<PageStore, 'read' | 'write'> {
  /** Events that nobody waits for any more. */
  const idleEvents: Handle[] = [];
  /** Enqueues a copy of each array, after all work that is enqueued now. */
  const copyAll = (
    offset: number,
    arrays: readonly ArrayView[],
    copy: (page: Handle, array: Handle, bytes: number) => void,
  ): void => {
    assertOpen();
    driver.cuEventRecord(computed, compute);
    driver.cuStreamWaitEvent(copies, computed, 0);
    let page = pinned + offset;
    for (const view of arrays) {
      const bytes = byteLengthOf(view);
      if (bytes > 0) copy(page, addressOf(view), bytes);
      page += bytes;
    }
  };
  /** Marks the copies that are enqueued so far. */
  const recordCopies = (): Handle => {
    const event = idleEvents.pop() ?? createEvent();
    driver.cuEventRecord(event, copies);
    return event;
  };
  const computeAfter = (event: Handle): void => {
    driver.cuStreamWaitEvent(compute, event, 0);
    idleEvents.push(event); // a wait is for the record before it, so the event can be recorded again
  };
  return {
    read(offset, arrays) {
      copyAll(offset, arrays, (page, array, bytes) => driver.cuMemcpyHtoDAsync(array, page, bytes, copies));
      const event = recordCopies();
      return { wait: () => computeAfter(event) };
    },
    write(offset, arrays) {
      copyAll(offset, arrays, (page, array, bytes) => driver.cuMemcpyDtoHAsync(page, array, bytes, copies));
      // most writes are never waited for: they need no event
      return { wait: () => computeAfter(recordCopies()) };
    },
  };
}

function allocatePinned({ driver }: DeviceContext, byteLength: number): Handle {
  try {
    return driver.cuMemHostAlloc(byteLength, 0);
  } catch (error) {
    if (!QdyloraError.isInstance(error) || error.details.result !== OUT_OF_MEMORY) throw error;
    throw new QdyloraError('OUT_OF_MEMORY', {
      where: 'cuda',
      problem: `the system has no ${byteLength} bytes of pinned memory for pages beside the device`,
      nextStep:
        'Turn activation_offload off, raise optimizer_memory_budget, or choose an optimizer that is not ' +
        'paged.',
      details: { requiredBytes: byteLength },
      cause: error,
    });
  }
}

function fillWithZeros({ driver }: DeviceContext, address: Handle, byteLength: number): void {
  const zeros = new Uint8Array(Math.min(byteLength, ZEROS_BYTES));
  for (let at = 0; at < byteLength; at += zeros.length)
    driver.copyToPinned(address + at, zeros.subarray(0, byteLength - at));
}
