import type { ArrayView, FloatView } from '@qdylora/contract';
import type { ProductShape } from './product-table.ts';

/** Arrays and their rows begin at multiples of this: algorithms for tensor cores need it. */
export const ALIGNMENT_BYTES = 16;

/** A kind of product: all that its algorithm depends on. */
export interface ProductPlan extends Omit<ProductShape, 'hasPlus'> {
  readonly hasBias: boolean;
}

/** c = before + a·b + bias, in bfloat16 with float32 sums. */
export interface LibraryProduct {
  readonly plan: ProductPlan;
  readonly a: FloatView;
  readonly b: FloatView;
  /** [rows, columns], of the dtype of c; may be c. */
  readonly before?: FloatView;
  /** [columns] */
  readonly bias?: ArrayView<'f32'>;
  /** [rows, columns] */
  readonly c: FloatView;
}

/** A library of products, as bindings see it. */
export interface ProductLibrary {
  /** Whether it is there, and the faster way to compute a product. */
  isFaster(shape: ProductShape): boolean;
  /** Bytes of the workspace of a product; null where the library has no algorithm for it. */
  workspaceBytes(plan: ProductPlan): number | null;
  /** Enqueues a product and returns. */
  multiply(product: LibraryProduct, workspace: ArrayView): void;
}
