import { checkOptions, QdyloraError, someText, type OptionRules } from '@qdylora/contract';
import type { CudaDriver } from '../addon/addon-functions.ts';
import type { ComputeCapability } from '../archive/pick-target.ts';
import { cudaVersionText, openDriver, type OpenDriverOptions } from './open-driver.ts';

/** One GPU, as the driver describes it. */
export interface CudaDevice {
  /** Its number, as `createCudaBackend` takes it. CUDA_VISIBLE_DEVICES changes the numbers. */
  readonly index: number;
  readonly name: string;
  readonly capability: ComputeCapability;
  readonly memoryBytes: number;
  readonly multiprocessors: number;
  /** Its place on the bus, `0000:17:00`: the same in processes that see other numbers. */
  readonly pciAddress: string;
}

/** The GPUs of this machine, or why there are none. */
export type CudaDevices =
  | {
      readonly available: true;
      /** The newest CUDA that the driver knows: `12.9`. */
      readonly driver: string;
      readonly devices: readonly CudaDevice[];
    }
  | {
      readonly available: false;
      /** True where a driver is installed, and yet nothing can run. */
      readonly hasDriver: boolean;
      readonly reason: string;
    };

/** Numbers of CUdevice_attribute. */
const ATTRIBUTES = {
  multiprocessors: 16,
  pciBus: 33,
  pciDevice: 34,
  pciDomain: 50,
  capabilityMajor: 75,
  capabilityMinor: 76,
};

const RULES: OptionRules<OpenDriverOptions> = { libraryPath: someText, addonPath: someText };

/** The device of a number. @throws QdyloraError for what the driver refuses */
export function describeDevice(driver: CudaDriver, index: number): CudaDevice {
  const device = driver.cuDeviceGet(index);
  const attribute = (number: number): number => driver.cuDeviceGetAttribute(number, device);
  const hexadecimal = (number: number, digits: number): string =>
    attribute(number).toString(16).padStart(digits, '0');
  const { pciDomain, pciBus, pciDevice } = ATTRIBUTES;
  return {
    index,
    name: driver.cuDeviceGetName(device),
    capability: {
      major: attribute(ATTRIBUTES.capabilityMajor),
      minor: attribute(ATTRIBUTES.capabilityMinor),
    },
    memoryBytes: driver.cuDeviceTotalMem(device),
    multiprocessors: attribute(ATTRIBUTES.multiprocessors),
    pciAddress: [hexadecimal(pciDomain, 4), hexadecimal(pciBus, 2), hexadecimal(pciDevice, 2)].join(':'),
  };
}

/**
 * Lists the GPUs of this machine. Where there are none, it says why and what to do; it throws only for wrong
 * options.
 *
 * @example
 * const found = listCudaDevices();
 * console.log(found.available ? found.devices.map(({ name }) => name) : found.reason);
 */
export function listCudaDevices(options: OpenDriverOptions = {}): CudaDevices {
  checkOptions('cuda', options, RULES);
  try {
    const driver = openDriver(options);
    return {
      available: true,
      driver: cudaVersionText(driver.cuDriverGetVersion()),
      devices: Array.from({ length: driver.cuDeviceGetCount() }, (_, index) => describeDevice(driver, index)),
    };
  } catch (error) {
    if (!QdyloraError.isInstance(error)) throw error;
    return { available: false, hasDriver: error.details.hasDriver !== false, reason: error.message };
  }
}
