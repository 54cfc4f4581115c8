import type { Arrays, FloatDType, HalfDType, Op } from '@qdylora/contract';
import type * as fc from 'fast-check';
import type { Bound } from './tolerance.ts';

/**
 * What some backends cannot do. `large`: calls whose references take seconds. `bf16 attention`: operands of
 * attention rounded to bf16 where a call asks for it, as the reference does. `float16`: arrays and operands
 * of products in float16.
 */
export type Capability = 'large' | 'bf16 attention' | 'float16';

/** One call of an op, in host memory, and how far its outputs may be from the reference's. */
export interface KernelCall<I = Arrays, O = Arrays, A = unknown> {
  readonly inputs: I;
  readonly attributes: A;
  /** Contents of the outputs that the op adds to or changes, before the call. */
  readonly suppliedOutputs?: Partial<O>;
  readonly bound: Bound;
  /**
   * Judges outputs with several right answers in place of `bound`: the problem in words, or null. Arrays are
   * in host memory.
   */
  readonly problemOf?: (outputs: O, expected: O) => string | null;
}

/** Calls of one op, which every backend's kernel has to answer as the op's reference does. */
export interface ConformanceCase {
  readonly op: Op;
  /** Completes "… agrees with its reference": `at every size`. */
  readonly title: string;
  /** Backends that lack this are not asked. */
  readonly needs?: Capability;
  readonly random?: RandomCalls<unknown>;
  /** Calls by hand: NaN, ±0, infinities, sizes that pass a block. */
  readonly edges?: () => Iterable<KernelCall>;
}

/** Calls made from parameters that shrink well: sizes, a seed, flags. */
export interface RandomCalls<P> {
  readonly parameters: fc.Arbitrary<P>;
  readonly call: (parameters: P) => KernelCall;
  readonly numRuns: number;
}

interface CaseDefinition<I extends Arrays, O extends Arrays, A, P> {
  readonly title: string;
  readonly needs?: Capability;
  readonly parameters?: fc.Arbitrary<P>;
  readonly call?: (parameters: P) => KernelCall<NoInfer<I>, NoInfer<O>, NoInfer<A>>;
  /** Random calls of one check; the default is 20. */
  readonly numRuns?: number;
  readonly edges?: () => Iterable<KernelCall<NoInfer<I>, NoInfer<O>, NoInfer<A>>>;
}

/**
 * One case of an op, with the types of its arrays and attributes checked.
 *
 * @example
 * export const scaleByCases = [
 *   conformanceCase(scaleBy, {
 *     title: 'at every size',
 *     parameters: fc.record({ size: arbitrarySize(100_000), seed: arbitrarySeed }),
 *     call: ({ size, seed }) => ({
 *       inputs: { x: normalView(seed, 'x', [size]), factor: normalView(seed, 'factor', [1]) },
 *       attributes: {},
 *       bound: relativeBound(1), // one product
 *     }),
 *   }),
 * ];
 */
export function conformanceCase<I extends Arrays, O extends Arrays, A, P>(
  op: Op<I, O, A>,
  { title, needs, parameters, call, numRuns = 20, edges }: CaseDefinition<I, O, A, P>,
): ConformanceCase {
  return {
    op: op as unknown as Op,
    title,
    needs,
    random: parameters && call && ({ parameters, call, numRuns } as unknown as RandomCalls<unknown>),
    edges: edges as unknown as ConformanceCase['edges'],
  };
}

/** The types of two bytes of a case, and the types of operands that its calls draw. */
export interface HalfSetting {
  readonly half: HalfDType;
  readonly computeDtypes: readonly FloatDType[];
}

const HALF_SETTINGS: readonly HalfSetting[] = [
  { half: 'bf16', computeDtypes: ['f32', 'bf16'] },
  { half: 'f16', computeDtypes: ['f16'] },
];

/**
 * The same cases twice: with bfloat16, and with float16 in its place for backends that have it. Calls that
 * compute in float32 are among those of bfloat16.
 */
export const forHalves = (
  casesIn: (setting: HalfSetting) => readonly ConformanceCase[],
): readonly ConformanceCase[] =>
  HALF_SETTINGS.flatMap((setting) =>
    casesIn(setting).map((one) =>
      setting.half === 'f16' ? { ...one, title: `${one.title}, in float16`, needs: 'float16' as const } : one,
    ),
  );
