import { byteLengthOf, type ArrayView } from '@qdylora/contract';
import type { DeviceContext } from '../driver/device-context.ts';
import { EVENT_BLOCKING_SYNC } from '../driver/flags.ts';
import { addressOf } from '../memory/cuda-storage.ts';

/** What benches need of a backend. */
export interface CudaMeasurements {
  /** Milliseconds that the device takes for the work that `enqueue` enqueues. */
  millisecondsOf(enqueue: () => void): Promise<number>;
  /** Enqueues the driver's own copy between two arrays of equal size: the ceiling of other copies. */
  copyByDriver(from: ArrayView, to: ArrayView): void;
}

export const measurementsOn = ({ driver, stream }: DeviceContext): CudaMeasurements => ({
  async millisecondsOf(enqueue) {
    const start = driver.cuEventCreate(EVENT_BLOCKING_SYNC);
    try {
      const end = driver.cuEventCreate(EVENT_BLOCKING_SYNC);
      try {
        driver.cuEventRecord(start, stream);
        enqueue();
        driver.cuEventRecord(end, stream);
        await driver.whenDone(end);
        return driver.cuEventElapsedTime(start, end);
      } finally {
        driver.cuEventDestroy(end);
      }
    } finally {
      driver.cuEventDestroy(start);
    }
  },
  copyByDriver(from, to) {
    driver.cuMemcpyDtoDAsync(addressOf(to), addressOf(from), byteLengthOf(from), stream);
  },
});
