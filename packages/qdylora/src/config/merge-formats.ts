/** Types of merged weights: floats, and the quantized types of each format. */
export const MERGE_DTYPES = ['bf16', 'f16', 'f32', 'q8_0', 'nf4', 'fp4'] as const;
export type MergeDtype = (typeof MERGE_DTYPES)[number];
export const MERGE_FORMATS = ['safetensors', 'gguf'] as const;
export type MergeFormat = (typeof MERGE_FORMATS)[number];

/** Types that each format supports. */
export const FORMAT_DTYPES: Readonly<Record<MergeFormat, readonly MergeDtype[]>> = {
  safetensors: ['bf16', 'f16', 'f32', 'nf4', 'fp4'],
  gguf: ['bf16', 'f16', 'f32', 'q8_0'],
};
