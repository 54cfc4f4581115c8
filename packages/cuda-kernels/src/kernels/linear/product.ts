import type { ArrayView, FloatDType, FloatView } from '@qdylora/contract';

type F32 = ArrayView<'f32'>;

/** A second product, of an adapter: a [rows, depth₂], b [depth₂, columns]. */
export interface AdapterFactors {
  readonly a: F32;
  readonly b: F32;
}

interface Operands {
  readonly computeDtype: FloatDType;
  readonly a: FloatView;
  readonly b: FloatView;
}

/** c = a·bᵀ + plus + bias: a [rows, depth], b [columns, depth]; bias [columns]; c [rows, columns]. */
export interface ProductNt extends Operands {
  readonly form: 'Nt';
  readonly plus?: AdapterFactors;
  readonly before?: undefined;
  readonly bias?: F32;
  readonly c: FloatView;
}

/** c = before + a·b + plus: a [rows, depth], b [depth, columns]. `before` may be the array of c. */
export interface ProductNn extends Operands {
  readonly form: 'Nn';
  readonly plus?: AdapterFactors;
  readonly before?: FloatView;
  readonly bias?: undefined;
  readonly c: FloatView;
}

/** c += aᵀ·b: a [depth, rows], b [depth, columns]. */
export interface ProductTn extends Operands {
  readonly form: 'Tn';
  readonly plus?: undefined;
  readonly before?: undefined;
  readonly bias?: undefined;
  readonly c: F32;
}

/** A product, by what the kernels of linear.cu compute. */
export type Product = ProductNt | ProductNn | ProductTn;
