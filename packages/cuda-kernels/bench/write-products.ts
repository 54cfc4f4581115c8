/**
 * Writes the table of products for the GPU of this machine (`npm run tune` in this package): which products
 * of training cuBLASLt computes faster than our own kernels. Measurements of other GPUs in the file stay.
 * `--output FILE`: where; prebuilt/products.json by default, which every backend reads. A few minutes.
 * Ends with 2 where there is no GPU or no cuBLASLt.
 */
import { parseArgs } from 'node:util';
import { createCudaBackend, inspectCublas, listCudaDevices } from '../src/index.ts';
import { productTablePath } from '../src/products/product-table.ts';
import { extendProductTable } from './extend-product-table.ts';
import { tuneProducts, type TunedSize } from './tune-products.ts';

/** Matrices of Llama models of 1B, 7B and 13B: attention, and both ways through the MLP. */
const WEIGHTS = [
  [2048, 2048],
  [2048, 8192],
  [8192, 2048],
  [4096, 4096],
  [4096, 11008],
  [11008, 4096],
  [5120, 13824],
  [13824, 5120],
] as const;
const TOKENS = [256, 512, 1024, 2048, 4096, 8192];

const SIZES: readonly TunedSize[] = WEIGHTS.flatMap(([inFeatures, outFeatures]) =>
  TOKENS.map((tokens) => ({ tokens, inFeatures, outFeatures })),
);

function refuse(reason: string): number {
  console.error(`[tune] nothing was measured: ${reason}`);
  return 2;
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { output: { type: 'string', default: productTablePath() } } });
  const found = listCudaDevices();
  const cublas = await inspectCublas();
  if (!found.available) return refuse(found.reason);
  if (!cublas.isFound) return refuse(cublas.reason);
  const device = found.devices[0].name;
  const measured = await tuneProducts((products) => createCudaBackend({ products }), SIZES);
  await extendProductTable(values.output, { device, library: cublas.version, measured });
  const faster = measured.filter((one) => one.libraryMicroseconds < one.ownMicroseconds).length;
  console.log(
    `${device}: cuBLASLt ${cublas.version} is faster for ${faster} of ${measured.length} products.`,
  );
  return 0;
}

process.exitCode = await main();
