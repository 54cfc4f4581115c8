import fc from 'fast-check';
import { hostData, createRng, f32View, viewOf, type ArrayView, type Shape } from '@qdylora/contract';
import { signedDynamicMap, unsignedDynamicMap } from '@qdylora/quant';
import {
  codeLimits,
  stateBlocks,
  STATE_BLOCK_SIZE,
  type AdamwRates,
  type LionAttributes,
} from '@qdylora/tensor';
import { arbitrarySeed, arbitrarySize } from './arbitraries.ts';
import { EPSILON, type Bound } from './tolerance.ts';

/** Shapes of 8-bit states: rows of all kinds of tails, of one block and of several. */
export const arbitraryStateShape = fc.record({
  rows: fc.integer({ min: 0, max: 5 }),
  columns: fc.oneof(arbitrarySize(700), fc.constantFrom(255, 256, 257, 512, 4096)),
  seed: arbitrarySeed,
});

export const M_MAP = f32View([256], signedDynamicMap());
export const V_MAP = f32View([256], unsignedDynamicMap());

export interface CodedState {
  readonly codes: ArrayView<'u8'>;
  readonly absmax: ArrayView<'f32'>;
}

/** A state of random codes; every third block is zero, one of seven is very small. */
export function stateOf(seed: number, name: string, [rows, columns]: Shape, scale: number): CodedState {
  const rng = createRng(seed).named(name);
  const perRow = stateBlocks(columns!);
  const sizeOf = (block: number): number =>
    block % 3 === 2
      ? 0
      : rng.uniform(block, 1) < 1 / 7
        ? 2 ** -130
        : scale * 10 ** (3 * rng.uniform(block, 2));
  return {
    codes: viewOf(
      'u8',
      [rows!, columns!],
      Uint8Array.from({ length: rows! * columns! }, (_, i) => Math.floor(256 * rng.uniform(i, 3))),
    ),
    absmax: f32View(
      [rows!, perRow],
      Float32Array.from({ length: rows! * perRow }, (_, block) => sizeOf(block)),
    ),
  };
}

/** Gradients over eight decades, with zeros between them. */
export function gradientsOf(seed: number, shape: readonly [number, number]): ArrayView<'f32'> {
  const rng = createRng(seed).named('gradients');
  return f32View(
    shape,
    Float32Array.from({ length: shape[0] * shape[1] }, (_, i) =>
      rng.uniform(i, 1) < 0.1 ? 0 : rng.normal(i) * 10 ** (-8 * rng.uniform(i, 2)),
    ),
  );
}

export const blockOf = (index: number, columns: number): number =>
  Math.floor(index / columns) * stateBlocks(columns) + Math.floor((index % columns) / STATE_BLOCK_SIZE);

/** The numbers of a state, in float64. */
export const decoded = ({ codes, absmax }: CodedState, map: ArrayView<'f32'>): Float64Array =>
  Float64Array.from(
    { length: hostData(codes).length },
    (_, i) => hostData(map)[hostData(codes)[i]] * hostData(absmax)[blockOf(i, codes.shape[1])],
  );

/** Relative error of a decoded level: the kernels compute levels, up to 2⁻²¹ from the map's (8 ε). */
const LEVEL = 8;

/** Roundings of one moment: its level, scale, two factors and a sum. */
export const MOMENT = LEVEL + 6;

/**
 * Bounds of a state's outputs. `values`: its numbers in float64 after the step; `sizes`: the sums of
 * magnitudes that they were made from, which rounding errors are relative to.
 * A code may be one off where value / absmax is so close to a limit that rounding decides: what is left of
 * `sizes`, three roundings of the quotient and absmax, and the kernel's own limits, which are exact to 2⁻²⁴
 * of a decade's largest level: 10 · 4 roundings of its smallest.
 */
export function stateBound(
  values: Float64Array,
  sizes: Float64Array,
  map: ArrayView<'f32'>,
  columns: number,
): { absmax: Bound; codes: Bound } {
  const most = new Map<number, { value: number; size: number }>();
  const limits = codeLimits(hostData(map));
  values.forEach((value, i) => {
    const block = blockOf(i, columns);
    const { value: largest, size } = most.get(block) ?? { value: 0, size: 0 };
    most.set(block, { value: Math.max(largest, Math.abs(value)), size: Math.max(size, sizes[i]) });
  });
  return {
    absmax: (_, block) => MOMENT * EPSILON * most.get(block)!.size + 2 ** -149,
    codes: (_, i, want) => {
      const { value: absmax, size } = most.get(blockOf(i, columns))!;
      const x = values[i] / absmax;
      const slack =
        (MOMENT * EPSILON * (sizes[i] + Math.abs(x) * size)) / absmax +
        43 * EPSILON * Math.abs(x) +
        2 ** -148 / absmax;
      // whether it is 0 in float32 hangs on the last subnormal bits
      if (want <= 1 && Math.abs(values[i]) < 2 ** -147) return 1;
      return [want - 1, want].some(
        (limit) => limit >= 0 && limit < 255 && Math.abs(x - limits[limit]) <= slack,
      )
        ? 1
        : 0;
    },
  };
}

export const arbitraryLion: fc.Arbitrary<LionAttributes & Omit<AdamwRates, 'step'>> = fc.record({
  learningRate: fc.constantFrom(1e-4, 2e-3),
  beta1: fc.constantFrom(0, 0.9),
  beta2: fc.constantFrom(0.95, 0.99),
  weightDecay: fc.constantFrom(0, 0.1),
  gradientScale: fc.constantFrom(1, 0.37),
});
