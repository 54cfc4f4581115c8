import {
  hostData,
  viewOf,
  type Arrays,
  type ArrayView,
  type FloatDType,
  type HalfDType,
  type Op,
} from '@qdylora/contract';
import type { BaseOperands, RankPart } from '@qdylora/lora-dynamic';
import type { ComputeDtype } from '@qdylora/tensor';
import fc from 'fast-check';
import { packedWeight } from '../arbitraries/packed-weight.ts';
import { normalFloatView, normalView } from './arbitraries.ts';
import {
  EPSILON,
  magnitudeBound,
  OPERAND_ROUNDING,
  SMALLEST_STEP,
  type Bound,
  type BoundedCall,
} from './tolerance.ts';

/** Kinds of frozen weight: dense in float32 or two bytes, 4-bit with plain or doubly quantized scales. */
export const basesIn = (half: HalfDType): readonly Base[] => ['f32', half, 'nf4', 'nested'];
export type Base = FloatDType | 'nf4' | 'nested';

/** Shares of the rows and of the rank, in tenths, from which `partsOf` makes parts. */
export type Cuts = readonly (readonly [at: number, high: number, low: number])[] | null;

/** No cuts in some of the cases: one rank for all rows. */
export function arbitraryCuts(): fc.Arbitrary<Cuts> {
  const tenths = fc.integer({ min: 0, max: 9 });
  return fc.option(fc.array(fc.tuple(tenths, tenths, tenths), { maxLength: 3 }));
}

/** Parts of `tokens` rows with ranks of `least` to `r`. */
export function partsOf(cuts: Cuts, tokens: number, r: number, least = 0): RankPart[] | undefined {
  if (!cuts || r === 0) return undefined;
  const ends = [...cuts.map(([at]) => Math.floor((at * tokens) / 10)).sort((a, b) => a - b), tokens];
  return ends.map((until, i) => {
    const [, high, low] = cuts[i] ?? [0, 9, 0];
    const rank = Math.max(least, Math.ceil((high * r) / 9));
    return {
      until,
      rank,
      trainFrom: Math.max(least, Math.floor((low * rank) / 10)),
      factor: 1 + i / 2,
      ...(high % 2 === 0 && { weight: 0.3 + i }),
    };
  });
}

/** u as the forward makes it, [tokens, r]: 0 past a part's rank. */
export function uOf(
  seed: number,
  tokens: number,
  r: number,
  parts: readonly RankPart[] | undefined,
): ArrayView<'f32'> {
  const u = normalView(seed, 'u', [tokens, r]);
  for (let t = 0; t < tokens && parts; t++)
    hostData(u).fill(0, t * r + parts.find(({ until }) => t < until)!.rank, (t + 1) * r);
  return u;
}

/** A frozen weight: [rows, cols]. */
export function baseOf(base: Base, seed: number, rows: number, cols: number): BaseOperands {
  switch (base) {
    case 'f32':
    case 'bf16':
    case 'f16':
      return { weight: normalFloatView(base, seed, 'w', [rows, cols]) };
    case 'nf4':
    case 'nested':
      return packedWeight(seed, [rows, cols], { nested: base === 'nested' });
  }
}

/** An offset is a float32: kernels take no other. */
export const adaptedAttributes = (base: Base, rows: number, cols: number, computeDtype: ComputeDtype) => ({
  rows,
  cols,
  blockSize: base === 'nf4' || base === 'nested' ? 64 : 0,
  nestedOffset: base === 'nested' ? Math.fround(0.03) : 0,
  computeDtype,
  scale: 0.7,
});

/**
 * Sums of `roundings` roundings. In two bytes, moreover, the scaled u (g) is rounded from a float32 sum that
 * need not be the reference's to the last bit: where it falls to the other side of a limit, it is off by one
 * step, twice the error of a rounding, so the adapter's share of the result is too. Below the smallest normal
 * number it is off by the smallest step, times a factor below 6 in each of at most `roundings` terms.
 */
export function adaptedBound<I extends Arrays, O extends Arrays, A extends { computeDtype: ComputeDtype }>(
  op: Op<I, O, A>,
  call: BoundedCall<I, O, A>,
  roundings: number,
): Bound {
  const { inputs, attributes, suppliedOutputs = {} } = call;
  const sums = magnitudeBound(op, call, roundings);
  if (attributes.computeDtype === 'f32') return sums;
  const isBase = (name: string) => /^(weight|levels)/.test(name);
  const withoutBase = Object.fromEntries(
    Object.entries(inputs).map(([name, view]) => [name, view && isBase(name) ? zerosLike(view) : view]),
  ) as I;
  const zeros = Object.fromEntries(
    Object.entries(suppliedOutputs).map(([name, view]) => [name, zerosLike(view as ArrayView)]),
  ) as Partial<O>;
  const steps = magnitudeBound(
    op,
    { inputs: withoutBase, attributes, suppliedOutputs: zeros },
    (2 * OPERAND_ROUNDING[attributes.computeDtype]) / EPSILON,
  );
  const smallest = 6 * roundings * SMALLEST_STEP[attributes.computeDtype];
  return (name, index, want) =>
    sums(name, index, want) + (name.startsWith('u') ? 0 : steps(name, index, want) + smallest);
}

function zerosLike(view: ArrayView): ArrayView {
  const data = hostData(view);
  const Elements = data.constructor as Float32ArrayConstructor;
  return viewOf(view.dtype, view.shape, new Elements(data.length) as never);
}
