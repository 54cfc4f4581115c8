import { GGML_BLOCKS } from '@qdylora/quant';

/** An element type of ggml: blocks of `blockLength` values in `blockBytes` bytes, along rows. */
export interface GgmlType {
  readonly name: string;
  readonly blockLength: number;
  readonly blockBytes: number;
}

/**
 * Types without blocks, and packed types that are not decoded here. Their sizes are needed, because tensors
 * follow each other.
 */
const OTHERS: readonly (readonly [id: number, name: string, blockLength: number, blockBytes: number])[] = [
  [0, 'F32', 1, 4],
  [1, 'F16', 1, 2],
  [16, 'IQ2_XXS', 256, 66],
  [17, 'IQ2_XS', 256, 74],
  [18, 'IQ3_XXS', 256, 98],
  [19, 'IQ1_S', 256, 50],
  [21, 'IQ3_S', 256, 110],
  [22, 'IQ2_S', 256, 82],
  [24, 'I8', 1, 1],
  [25, 'I16', 1, 2],
  [26, 'I32', 1, 4],
  [27, 'I64', 1, 8],
  [28, 'F64', 1, 8],
  [29, 'IQ1_M', 256, 56],
  [30, 'BF16', 1, 2],
  [34, 'TQ1_0', 256, 54],
  [35, 'TQ2_0', 256, 66],
  [39, 'MXFP4', 32, 17],
  [40, 'NVFP4', 64, 36],
  [41, 'Q1_0', 128, 18],
];

/** All types, by their number in the file. */
export const GGML_TYPES: ReadonlyMap<number, GgmlType> = new Map(
  [
    ...OTHERS.map(([id, name, blockLength, blockBytes]) => [id, { name, blockLength, blockBytes }] as const),
    ...[...GGML_BLOCKS].map(
      ([name, { id, length, bytes }]) => [id, { name, blockLength: length, blockBytes: bytes }] as const,
    ),
  ].sort(([a], [b]) => a - b),
);
