import { dequantizeIQ4_NL } from './iq4-nl.ts';
import { dequantizeIQ4_XS } from './iq4-xs.ts';
import { dequantizeQ2_K } from './q2-k.ts';
import { dequantizeQ3_K } from './q3-k.ts';
import { dequantizeQ4_0 } from './q4-0.ts';
import { dequantizeQ4_1 } from './q4-1.ts';
import { dequantizeQ4_K } from './q4-k.ts';
import { dequantizeQ5_0 } from './q5-0.ts';
import { dequantizeQ5_1 } from './q5-1.ts';
import { dequantizeQ5_K } from './q5-k.ts';
import { dequantizeQ6_K } from './q6-k.ts';
import { dequantizeQ8_0 } from './q8-0.ts';
import { dequantizeQ8_K } from './q8-k.ts';

/** A type of ggml's packed blocks: `length` values in `bytes` bytes, along rows. */
export interface GgmlBlock {
  /** ggml's number of the type, as files have it. */
  readonly id: number;
  readonly length: number;
  readonly bytes: number;
  /**
   * Fills `values` (whole blocks) from as many packed blocks, bit for bit as ggml's reference does. The
   * blocks begin at a multiple of four bytes of their buffer, and the machine is little-endian.
   */
  dequantize(blocks: Uint8Array, values: Float32Array): void;
}

/** The packed types whose values can be read, by name. */
export const GGML_BLOCKS: ReadonlyMap<string, GgmlBlock> = new Map([
  ['Q8_0', { id: 8, length: 32, bytes: 34, dequantize: dequantizeQ8_0 }],
  ['Q4_0', { id: 2, length: 32, bytes: 18, dequantize: dequantizeQ4_0 }],
  ['Q4_1', { id: 3, length: 32, bytes: 20, dequantize: dequantizeQ4_1 }],
  ['Q5_0', { id: 6, length: 32, bytes: 22, dequantize: dequantizeQ5_0 }],
  ['Q5_1', { id: 7, length: 32, bytes: 24, dequantize: dequantizeQ5_1 }],
  ['Q2_K', { id: 10, length: 256, bytes: 84, dequantize: dequantizeQ2_K }],
  ['Q3_K', { id: 11, length: 256, bytes: 110, dequantize: dequantizeQ3_K }],
  ['Q4_K', { id: 12, length: 256, bytes: 144, dequantize: dequantizeQ4_K }],
  ['Q5_K', { id: 13, length: 256, bytes: 176, dequantize: dequantizeQ5_K }],
  ['Q6_K', { id: 14, length: 256, bytes: 210, dequantize: dequantizeQ6_K }],
  ['Q8_K', { id: 15, length: 256, bytes: 292, dequantize: dequantizeQ8_K }],
  ['IQ4_NL', { id: 20, length: 32, bytes: 18, dequantize: dequantizeIQ4_NL }],
  ['IQ4_XS', { id: 23, length: 256, bytes: 136, dequantize: dequantizeIQ4_XS }],
]);
