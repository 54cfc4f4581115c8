import type { DeviceContext } from '../driver/device-context.ts';
import { createCublasProducts } from './cublas-products.ts';
import { findCublas, type FoundCublas } from './find-cublas.ts';
import type { ProductLibrary } from './library-product.ts';
import { libraryChoice, readProductTable } from './product-table.ts';

/** Which matrix products cuBLASLt computes, and where its library is. */
export interface ProductOptions {
  /**
   * Which products cuBLASLt computes, where it is there. `table`, the default: those that the table of this
   * device says it is faster for. `library`: all that it has an algorithm for. `own`: none.
   */
  readonly products?: 'table' | 'library' | 'own';
  /** The table; that of the package by default. The tuner writes one (README). */
  readonly productTable?: string;
  /** The library of cuBLASLt, instead of `libcublasLt.so.13` and `.so.12`. */
  readonly cublasPath?: string;
}

/** What a backend has of cuBLASLt, or why it has none. */
export type CublasInUse =
  | { readonly isFound: true; readonly library: string; readonly version: string }
  | { readonly isFound: false; readonly reason: string };

/** cuBLASLt in use by a backend. */
export interface OpenLibrary extends ProductLibrary {
  /** The same for a recording. `keep` gets what enqueues each product again. */
  recorded(keep: (enqueueAgain: () => void) => void): ProductLibrary;
  /** It does not throw. */
  dispose(): void;
}

/** @throws QdyloraError for a table that cannot be read, and for what cuBLASLt refuses */
export async function openLibrary(
  context: DeviceContext,
  { products = 'table', productTable, cublasPath }: ProductOptions,
): Promise<{ readonly cublas: CublasInUse; readonly library: OpenLibrary | null }> {
  const { driver, device } = context;
  const table = products === 'table' || productTable ? await readProductTable(productTable) : null;
  const found: FoundCublas =
    products === 'own'
      ? { isFound: false, reason: 'it is turned off' }
      : findCublas(driver, device.capability, cublasPath);
  if (!found.isFound) return { cublas: found, library: null };
  const { calls, ...cublas } = found;
  const byCublas = createCublasProducts(context, calls);
  const isFaster = products === 'library' ? () => true : libraryChoice(table!, device.name, found.version);
  const { workspaceBytes, dispose } = byCublas;
  return {
    cublas,
    library: {
      isFaster,
      workspaceBytes,
      multiply: (product, workspace) => {
        byCublas.multiply(product, workspace);
      },
      recorded: (keep) => ({
        isFaster,
        workspaceBytes,
        multiply: (product, workspace) => keep(byCublas.multiply(product, workspace)),
      }),
      dispose,
    },
  };
}
