import type { FloatDType } from '@qdylora/contract';

const SUFFIXES: Readonly<Record<FloatDType, string>> = { f32: 'F32', bf16: 'Bf16', f16: 'F16' };

/** The end of a kernel's name for a type of elements, as in QD_FOR_ELEMENTS: `rmsNorm${dtypeSuffix(y)}`. */
export const dtypeSuffix = ({ dtype }: { readonly dtype: FloatDType }): string => SUFFIXES[dtype];
