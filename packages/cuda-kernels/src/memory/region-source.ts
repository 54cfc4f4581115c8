import {
  InsufficientMemoryError,
  QdyloraError,
  type ArrayView,
  type Memory,
  type MemoryUsage,
} from '@qdylora/contract';
import type { Handle } from '../addon/addon-functions.ts';
import { OUT_OF_MEMORY } from '../driver/cuda-error.ts';
import { ignoringFailures, type DeviceContext } from '../driver/device-context.ts';
import { addressOf } from './cuda-storage.ts';

/** Where a memory gets its regions from, by their addresses. */
export interface RegionSource {
  /** `usage`: of the memory that asks.  @throws InsufficientMemoryError */
  reserve(bytes: number, usage: MemoryUsage): Handle;
  unreserve(region: Handle): void;
}

/** Regions from the driver, `mostBytes` in all. An error has the ledger of the memory and of the device. */
export const regionsOfDevice = ({ driver }: DeviceContext, mostBytes = Infinity): RegionSource => ({
  reserve(bytes, { liveBytes, peakBytes, reservedBytes }) {
    const insufficient = (availableBytes: number, limits: Readonly<Record<string, number>>): Error =>
      new InsufficientMemoryError(bytes, availableBytes, 'cuda', {
        liveBytes,
        peakBytes,
        reservedBytes,
        ...limits,
      });
    if (reservedBytes + bytes > mostBytes) throw insufficient(mostBytes - reservedBytes, { mostBytes });
    try {
      return driver.cuMemAlloc(bytes);
    } catch (error) {
      if (!QdyloraError.isInstance(error) || error.details.result !== OUT_OF_MEMORY) throw error;
      const [freeBytes, totalBytes] = driver.cuMemGetInfo();
      throw insufficient(freeBytes, { totalBytes });
    }
  },
  // memory of a lost device goes with the process
  unreserve(region) {
    ignoringFailures(() => {
      driver.cuMemFree(region);
    });
  },
});

/** Regions that are arrays of another memory, so that both share what is reserved. */
export function regionsInside(memory: Memory): RegionSource {
  const arrays = new Map<Handle, ArrayView>();
  return {
    reserve(bytes) {
      const view = memory.allocate('u8', [bytes]);
      memory.persist(view);
      arrays.set(addressOf(view), view);
      return addressOf(view);
    },
    unreserve(region) {
      memory.release(arrays.get(region)!);
      arrays.delete(region);
    },
  };
}
