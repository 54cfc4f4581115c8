import { QdyloraError, shownValue } from '@qdylora/contract';
import { mixRows } from '@qdylora/lora-dynamic';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';
import { codeLimits, encodeStateBlock, forEachStateBlock, STATE_BLOCK_SIZE } from '@qdylora/tensor';
import type { Optimizer, StateArray } from '../optimizers/optimizer.ts';
import { absmaxOf } from '../optimizers/states/state-layout.ts';

/** States that are means of gradients (`signed`), and of their squares. */
const KINDS = [
  { kind: 'm', isSquare: false },
  { kind: 'velocity', isSquare: false },
  { kind: 'v', isSquare: true },
] as const;

/**
 * Changes the states of one parameter as a mix changes its gradient. Where the gradient becomes M·g, its mean
 * m becomes M·m. A mean of squares v becomes M²·v with the squares of M's entries, as if the gradients of
 * different rows were independent.
 *
 * mix: [rows, rows]
 */
export async function mixStates(optimizer: Optimizer, name: string, mix: Float64Array): Promise<void> {
  const { arrays } = optimizer.state();
  for (const { kind, isSquare } of KINDS) {
    const weights = isSquare ? mix.map((weight) => weight * weight) : mix;
    const absmax = arrays.get(`${name}.${absmaxOf(kind)}`);
    const values = arrays.get(`${name}.${kind}`);
    if (absmax) await mixCodes(values as StateArray<'u8'>, absmax as StateArray<'f32'>, weights, isSquare);
    else values?.write(mixRows(weights, (await values.read()) as Float32Array));
  }
}

/** @throws QdyloraError UNSUPPORTED where the first rows have had different numbers of updates */
export function assertOneCount(optimizer: Optimizer, rowCount: number): void {
  const { rows, rest } = optimizer.state().counts;
  const counts = Array.from({ length: rowCount }, (_, row) => rows[row] ?? rest);
  if (counts.every((count) => count === counts[0])) return;
  throw new QdyloraError('UNSUPPORTED', {
    where: optimizer.name,
    problem: `The rows have had different numbers of updates (${shownValue([...new Set(counts)])})`,
    nextStep: 'Sort rows only after steps that trained all of them: update_rule: prefix.',
  });
}

/** Decodes an 8-bit state, mixes its rows and encodes it again. */
async function mixCodes(
  codes: StateArray<'u8'>,
  absmax: StateArray<'f32'>,
  weights: Float64Array,
  isSquare: boolean,
): Promise<void> {
  const map = isSquare ? unsignedDynamicMap() : signedDynamicMap();
  const state = { codes: await codes.read(), absmax: await absmax.read(), map, limits: codeLimits(map) };
  const values = new Float32Array(state.codes.length);
  forEachStateBlock(codes.shape, ({ from, count, block }) => {
    for (let i = from; i < from + count; i++) values[i] = map[state.codes[i]] * state.absmax[block];
  });
  const mixed = mixRows(weights, values);
  const blockValues = new Float64Array(STATE_BLOCK_SIZE);
  forEachStateBlock(codes.shape, (block) => {
    blockValues.set(mixed.subarray(block.from, block.from + block.count));
    encodeStateBlock(state, block, blockValues, isSquare ? 1 : 0);
  });
  codes.write(state.codes);
  absmax.write(state.absmax);
}
