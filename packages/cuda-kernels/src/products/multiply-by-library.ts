import { DTYPE_BYTES, type ArrayView, type FloatView } from '@qdylora/contract';
import type { CudaDoor } from '../launch/launch.ts';
import type { Product } from '../kernels/linear/product.ts';
import { ALIGNMENT_BYTES } from './library-product.ts';

const isAligned = ({ dtype, offset, shape }: ArrayView): boolean =>
  [offset, shape[1]].every((elements) => (elements * DTYPE_BYTES[dtype]) % ALIGNMENT_BYTES === 0);

/** What the library's part of a product needs of our own. */
export interface OwnProducts {
  launch(product: Product): void;
  /** Calls `body` with a temporary array: [rows, columns]. */
  withSum(shape: readonly [number, number], body: (sum: FloatView) => void): void;
}

/**
 * Computes a product by the library, where it is there and the faster way. An adapter, which has float32
 * factors, is added by our own kernel afterwards: in place where c is float32, else from a temporary array.
 *
 * @returns false where nothing was enqueued
 */
export function multiplyByLibrary(door: CudaDoor, product: Product, own: OwnProducts): boolean {
  const { library } = door;
  const { form, computeDtype, a, b, plus, bias, c } = product;
  const before = form === 'Tn' ? c : product.before;
  const [rows, columns] = c.shape as [number, number];
  const depth = form === 'Tn' ? a.shape[0] : a.shape[1];
  const isPossible =
    library !== undefined &&
    computeDtype === 'bf16' &&
    a.dtype === 'bf16' &&
    b.dtype === 'bf16' &&
    rows * columns * depth > 0 &&
    [a, b, c, before ?? c].every(isAligned);
  if (!isPossible) return false;
  const hasPlus = plus !== undefined;
  // with an adapter the library's result is float32
  const dtype = hasPlus ? 'f32' : c.dtype;
  if (before && before.dtype !== dtype) return false;
  if (bias && dtype !== 'f32') return false;
  if (!library.isFaster({ form, rows, columns, depth, dtype: c.dtype, hasPlus })) return false;
  const plan = { form, rows, columns, depth, dtype, hasBias: bias !== undefined };
  const workspaceBytes = library.workspaceBytes(plan);
  if (workspaceBytes === null) return false;
  const workspaceWords = Math.ceil(workspaceBytes / DTYPE_BYTES.f32);
  const multiplyInto = (target: FloatView): void =>
    door.withScratch(workspaceWords, (workspace) =>
      library.multiply({ plan, a, b, before, bias, c: target }, workspace),
    );
  if (!hasPlus) {
    multiplyInto(c);
    return true;
  }
  const addAdapter = (sum: FloatView): void =>
    own.launch({ form: 'Nn', computeDtype, ...plus, before: sum, c });
  const both = (sum: FloatView): void => {
    multiplyInto(sum);
    addAdapter(sum);
  };
  if (c.dtype === 'f32') both(c);
  else own.withSum([rows, columns], both);
  return true;
}
