import { QdyloraError, shownValue } from '@qdylora/contract';
import { mixRows } from '@qdylora/lora-dynamic';
import { codeLimits, encodeStateBlock, forEachStateBlock, STATE_BLOCK_SIZE } from '@qdylora/tensor';
import type { Optimizer, StateArray } from '../optimizers/optimizer.ts';
import { decodeState, isMeanOfSquares, mapOf } from '../optimizers/states/decode-state.ts';
import { absmaxOf } from '../optimizers/states/state-layout.ts';

/**
 * Changes the states of one parameter as a mix M changes its gradient. The gradient g becomes M·g, so its
 * mean m becomes M·m. A mean of squares v is multiplied by the squared entries of M, as if the gradients of
 * different rows were independent.
 *
 * mix: [rows, rows]
 */
export async function mixStates(optimizer: Optimizer, name: string, mix: Float64Array): Promise<void> {
  const { arrays } = optimizer.state();
  for (const kind of kindsOf(arrays, name)) {
    const weights = isMeanOfSquares(kind) ? mix.map((weight) => weight * weight) : mix;
    const absmax = arrays.get(`${name}.${absmaxOf(kind)}`);
    const values = arrays.get(`${name}.${kind}`)!;
    if (absmax) await mixCodes(values as StateArray<'u8'>, absmax as StateArray<'f32'>, weights, kind);
    else values.write(mixRows(weights, (await values.read()) as Float32Array));
  }
}

/** The states of a parameter (m, v, velocity), without the scales of 8-bit states. */
function kindsOf(arrays: ReadonlyMap<string, unknown>, name: string): string[] {
  const ofParameter = [...arrays.keys()].filter((key) => key.startsWith(`${name}.`));
  const kinds = ofParameter.map((key) => key.slice(name.length + 1));
  const scales = new Set(kinds.map(absmaxOf));
  return kinds.filter((kind) => !scales.has(kind));
}

/** @throws QdyloraError UNSUPPORTED if the first rows have different update counts */
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
  kind: string,
): Promise<void> {
  const map = mapOf(kind);
  const state = { codes: await codes.read(), absmax: await absmax.read(), map, limits: codeLimits(map) };
  const mixed = mixRows(weights, decodeState(state, codes.shape));
  const blockValues = new Float64Array(STATE_BLOCK_SIZE);
  forEachStateBlock(codes.shape, (block) => {
    blockValues.set(mixed.subarray(block.from, block.from + block.count));
    encodeStateBlock(state, block, blockValues, isMeanOfSquares(kind) ? 1 : 0);
  });
  codes.write(state.codes);
  absmax.write(state.absmax);
}
