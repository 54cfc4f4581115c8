import type { ArrayView, FloatDType, FloatView } from '@qdylora/contract';

/** a · b. */
export interface Factors {
  readonly a: FloatView;
  readonly b: FloatView;
}

export interface Product extends Factors {
  /**
   * `Nt`: a [rows, depth], b [columns, depth]. `Nn`: a [rows, depth], b [depth, columns].
   * `Tn`: a [depth, rows], b [depth, columns].
   */
  readonly form: 'Nt' | 'Nn' | 'Tn';
  readonly computeDtype: FloatDType;
  /** Added to it: a [rows, depth₂], b [depth₂, columns]. Not in the form Tn. */
  readonly plus?: Factors;
  /** [rows, columns]; may be the array of c. */
  readonly before?: FloatView;
  /** [columns] */
  readonly bias?: ArrayView<'f32'>;
  /** [rows, columns] */
  readonly c: FloatView;
}
