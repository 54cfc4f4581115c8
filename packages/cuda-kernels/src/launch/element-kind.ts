import type { FloatDType } from '@qdylora/contract';
import { i32, type Argument } from './launch.ts';

/** ElementKind of src/device/element.h. */
const ELEMENT_KINDS: Readonly<Record<FloatDType, number>> = { f32: 0, bf16: 1, f16: 2 };

/** The number of a type of elements, for kernels that learn it when they run. */
export const elementKind = (dtype: FloatDType): number => ELEMENT_KINDS[dtype];

/** The type of a view's elements as an argument of a kernel. */
export const kindOf = ({ dtype }: { readonly dtype: FloatDType }): Argument => i32(elementKind(dtype));
