import { DTYPE_BYTES, type ArrayView, type FloatDType } from '@qdylora/contract';
import { dtypeSuffix } from '../../launch/dtype-suffix.ts';
import { elementKind, kindOf } from '../../launch/element-kind.ts';
import { i32, input, output, type CudaDoor } from '../../launch/launch.ts';
import { multiplyByLibrary } from '../../products/multiply-by-library.ts';
import type { Product } from './product.ts';

/** Tiles of linear.cu: rows, columns and threads of a block. */
const SMALL = { size: 64, threads: 128 } as const;
const LARGE = { size: 128, threads: 256 } as const;
/** Large tiles are for products that still give every multiprocessor of a large device one of them. */
const FEWEST_LARGE_TILES = 128;

/** Enqueues a product: by cuBLASLt where it is faster, else by our own kernels. */
export function launchProduct(door: CudaDoor, product: Product): void {
  const isDone = multiplyByLibrary(door, product, {
    launch: (rest) => launchOwnProduct(door, rest),
    withSum: (shape, body) => withMatrix(door, { dtype: 'f32', shape }, body),
  });
  if (!isDone) launchOwnProduct(door, product);
}

function launchOwnProduct({ launch }: CudaDoor, product: Product): void {
  const { form, computeDtype, a, b, plus, before, bias, c } = product;
  const [rows, columns] = c.shape as [number, number];
  const tilesOf = (size: number): number => Math.ceil(rows / size) * Math.ceil(columns / size);
  const isLarge = computeDtype !== 'f32' && tilesOf(LARGE.size) >= FEWEST_LARGE_TILES;
  const { size, threads } = isLarge ? LARGE : SMALL;
  launch({
    module: 'linear',
    kernel: `${isLarge ? 'largeProduct' : 'product'}${form}${dtypeSuffix({ dtype: computeDtype })}`,
    blocks: tilesOf(size),
    threads,
    arguments: [
      input(a),
      kindOf(a),
      input(b),
      kindOf(b),
      i32(form === 'Tn' ? a.shape[0] : a.shape[1]),
      // where an array is missing, one that is not read
      input(plus?.a ?? a),
      input(plus?.b ?? b),
      i32(plus ? plus.a.shape[1] : 0),
      input(before ?? a),
      i32(before ? 1 + elementKind(before.dtype) : 0),
      input(bias ?? b),
      i32(bias ? 1 : 0),
      output(c),
      kindOf(c),
      i32(rows),
      i32(columns),
    ],
  });
}

/** A view of one of these dtypes. */
type ViewOf<D extends FloatDType> = D extends FloatDType ? ArrayView<D> : never;

/** Calls `body` with a temporary matrix: [rows, columns]. Its contents are undefined. */
export function withMatrix<D extends FloatDType>(
  { withScratch }: CudaDoor,
  { dtype, shape }: { readonly dtype: D; readonly shape: readonly [number, number] },
  body: (matrix: ViewOf<D>) => void,
): void {
  const elementsOfWord = DTYPE_BYTES.f32 / DTYPE_BYTES[dtype];
  withScratch(Math.ceil((shape[0] * shape[1]) / elementsOfWord), ({ storage, offset }) =>
    body({ dtype, shape, storage, offset: offset * elementsOfWord } as unknown as ViewOf<D>),
  );
}
