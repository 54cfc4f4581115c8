import type { CudaDriver, Handle } from '../addon/addon-functions.ts';
import { STREAM_NON_BLOCKING } from './flags.ts';
import { describeDevice, type CudaDevice } from './list-cuda-devices.ts';

/** One device in use: its context, and the stream on which all work of a backend runs in order. */
export interface DeviceContext {
  readonly driver: CudaDriver;
  readonly device: CudaDevice;
  readonly stream: Handle;
  /** Destroys the stream and leaves the context, after all work. It does not throw. */
  dispose(): void;
}

/**
 * Retains the device's primary context and creates the stream.
 *
 * @throws QdyloraError for what the driver refuses
 */
export function enterDevice(driver: CudaDriver, index: number): DeviceContext {
  const device = describeDevice(driver, index);
  const handle = driver.cuDeviceGet(index);
  driver.setContext(driver.cuDevicePrimaryCtxRetain(handle));
  let isLeft = false;
  const leave = (): void => {
    if (isLeft) return;
    isLeft = true;
    driver.setContext(0);
    ignoringFailures(() => {
      driver.cuDevicePrimaryCtxRelease(handle);
    });
  };
  try {
    const stream = driver.cuStreamCreate(STREAM_NON_BLOCKING);
    return {
      driver,
      device,
      stream,
      dispose() {
        if (isLeft) return;
        ignoringFailures(() => {
          driver.cuStreamDestroy(stream);
        });
        leave();
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}

/**
 * Runs each step, whatever the others throw. For the end of things: on a device that is lost every call
 * fails, and the driver frees everything with the process.
 */
export function ignoringFailures(...steps: readonly (() => void)[]): void {
  for (const step of steps)
    try {
      step();
    } catch {
      // the step before it, or the program's last call, has reported the failure
    }
}
