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

/** Fills `values` (whole blocks) from as many packed blocks, bit for bit as ggml's reference does. The blocks begin at a multiple of four bytes of their buffer, and the machine is little-endian. */
export type Dequantize = (blocks: Uint8Array, values: Float32Array) => void;

/** The packed types whose values can be read. */
export const DEQUANTIZERS: ReadonlyMap<string, Dequantize> = new Map([
  ['Q8_0', dequantizeQ8_0], ['Q4_0', dequantizeQ4_0], ['Q4_1', dequantizeQ4_1], ['Q5_0', dequantizeQ5_0], ['Q5_1', dequantizeQ5_1],
  ['Q2_K', dequantizeQ2_K], ['Q3_K', dequantizeQ3_K], ['Q4_K', dequantizeQ4_K], ['Q5_K', dequantizeQ5_K], ['Q6_K', dequantizeQ6_K], ['Q8_K', dequantizeQ8_K],
  ['IQ4_NL', dequantizeIQ4_NL], ['IQ4_XS', dequantizeIQ4_XS],
]);
