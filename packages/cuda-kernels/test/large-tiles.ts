import type { EmulatedLaunch } from './emulator.ts';

/** Of a large tile: launch-product.ts. */
const SIZE = 128;
const THREADS = 256;
/** Products by tensor cores, which have large tiles too. */
const SMALL_PRODUCT = /^product(N[tn]|Tn)(Bf16|F16)$/;

/** The same product by large tiles, which the bindings choose for products that are too large for a test. */
export function withLargeTiles(launch: EmulatedLaunch): EmulatedLaunch {
  if (!SMALL_PRODUCT.test(launch.kernel)) return launch;
  // the last two arguments of a product are the rows and columns of its result
  const [rows, columns] = launch.arguments.slice(-2).map((size) => ('value' in size ? size.value : 0));
  return {
    ...launch,
    kernel: launch.kernel.replace('product', 'largeProduct'),
    grid: [Math.ceil(rows / SIZE) * Math.ceil(columns / SIZE), 1, 1],
    block: [THREADS, 1, 1],
  };
}
