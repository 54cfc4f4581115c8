import { QdyloraError } from '@qdylora/contract';
import { describeDevice } from '../driver/list-cuda-devices.ts';
import { openDriver, type OpenDriverOptions } from '../driver/open-driver.ts';
import { findCublas } from './find-cublas.ts';
import type { CublasInUse, ProductOptions } from './open-library.ts';
import { readProductTable } from './product-table.ts';

/** cuBLASLt as a backend of a device would find it, and how many products of that device the table has. */
export async function inspectCublas({
  device = 0,
  cublasPath,
  productTable,
  ...options
}: OpenDriverOptions &
  Pick<ProductOptions, 'cublasPath' | 'productTable'> & { readonly device?: number } = {}): Promise<
  CublasInUse & { readonly measuredProducts: number }
> {
  try {
    const driver = openDriver(options);
    const { name, capability } = describeDevice(driver, device);
    const { devices } = await readProductTable(productTable);
    const measuredProducts = devices
      .filter((one) => one.device === name)
      .reduce((sum, { measured }) => sum + measured.length, 0);
    const found = findCublas(driver, capability, cublasPath);
    if (!found.isFound) return { ...found, measuredProducts };
    const { library, version } = found;
    return { isFound: true, library, version, measuredProducts };
  } catch (error) {
    if (!QdyloraError.isInstance(error)) throw error;
    return { isFound: false, reason: error.message, measuredProducts: 0 };
  }
}
