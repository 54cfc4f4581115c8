import { DTYPE_BYTES, type ArrayView, type FloatDType, type FloatView } from '@qdylora/contract';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { multiplyByLibrary } from '../../products/multiply-by-library.ts';
import type { Product } from './product.ts';

/** Tiles of linear.cu: rows, columns and threads of a block. */
const SMALL = { size: 64, threads: 128 } as const;
const LARGE = { size: 128, threads: 256 } as const;
/** Large tiles are for products that still give every multiprocessor of a large device one of them. */
const FEWEST_LARGE_TILES = 128;

/** Enqueues c = before + a·b + plus + bias: by cuBLASLt where it is faster, else by our own kernels. */
export function launchProduct(door: CudaDoor, product: Product): void {
  const isDone = multiplyByLibrary(door, product, {
    launch: (rest) => launchOwnProduct(door, rest),
    withSum: (shape, body) => withMatrix(door, { dtype: 'f32', shape }, body),
  });
  if (!isDone) launchOwnProduct(door, product);
}

function launchOwnProduct({ launch }: CudaDoor, product: Product): void {
  const { form, computeDtype, a, b, plus = { a, b }, before = a, bias = b, c } = product;
  const [rows, columns] = c.shape as [number, number];
  const tilesOf = (size: number): number => Math.ceil(rows / size) * Math.ceil(columns / size);
  const isLarge = computeDtype === 'bf16' && tilesOf(LARGE.size) >= FEWEST_LARGE_TILES;
  const { size, threads } = isLarge ? LARGE : SMALL;
  launch({
    module: 'linear',
    kernel: `${isLarge ? 'largeProduct' : 'product'}${form}${computeDtype === 'bf16' ? 'Bf16' : 'F32'}`,
    blocks: tilesOf(size),
    threads,
    arguments: [
      input(a),
      i32(isHalf(a)),
      input(b),
      i32(isHalf(b)),
      i32(form === 'Tn' ? a.shape[0] : a.shape[1]),
      input(plus.a),
      i32(isHalf(plus.a)),
      input(plus.b),
      i32(isHalf(plus.b)),
      i32(product.plus ? plus.a.shape[1] : 0),
      input(before),
      i32(product.before ? 1 + isHalf(before) : 0),
      input(bias),
      i32(product.bias ? 1 : 0),
      output(c),
      i32(isHalf(c)),
      i32(rows),
      i32(columns),
    ],
  });
}

const isHalf = ({ dtype }: ArrayView): number => (dtype === 'bf16' ? 1 : 0);

/** Calls `body` with a temporary matrix: [rows, columns]. Its contents are undefined. */
export function withMatrix(
  { withScratch }: CudaDoor,
  { dtype, shape }: { readonly dtype: FloatDType; readonly shape: readonly [number, number] },
  body: (matrix: FloatView) => void,
): void {
  const elementsOfWord = DTYPE_BYTES.f32 / DTYPE_BYTES[dtype];
  withScratch(Math.ceil((shape[0] * shape[1]) / elementsOfWord), ({ storage, offset }) =>
    body({ dtype, shape, storage, offset: offset * elementsOfWord } as FloatView),
  );
}
