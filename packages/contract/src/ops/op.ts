import { namedRules, type ArrayRule, type NamedRule } from './array-rule.ts';
import type { Arrays, ArraySpec } from '../arrays/array-view.ts';

/** Dtype and shape of each output of a call; undefined for one that the call does not make. */
export type SpecsOf<O> = { readonly [K in keyof O]: ArraySpec | undefined };

/**
 * An op: its interface, its shape rule, and a reference implementation in float64 that is the specification.
 * Kernels of all backends are tested against the reference.
 */
export interface Op<I extends Arrays = Arrays, O extends Arrays = Arrays, A = unknown> {
  /**
   * Backends find kernels by this name. An op that has the name of another one's kernel is refused, so choose
   * a prefix for ops of your own.
   */
  readonly name: string;
  /**
   * Dtypes and number of axes of each input, and whether a call may leave it out. `runOp` checks them
   * first.
   */
  readonly takes: Readonly<Record<string, ArrayRule>>;
  /** `takes` as a list, made by `defineOp`. */
  readonly rules: readonly NamedRule[];
  /** Outputs that a call adds to. The caller supplies them, or leaves out those that nobody needs. */
  readonly accumulates?: readonly (keyof O & string)[];
  /** Outputs that a call changes in place. The caller must supply them. */
  readonly updates?: readonly (keyof O & string)[];
  /** The output that a call adds to if its attribute `accumulate` is true. The caller must supply it then. */
  readonly addsWhereAsked?: keyof O & string;
  /** Attributes may be NaN. All other ops refuse NaN. */
  readonly acceptsNaN?: true;
  /**
   * Inputs and outputs that may be f32, bf16 or f16. A kernel receives them as they are. The reference always
   * receives f32: `runReference` widens inputs and rounds results once.
   */
  readonly halves?: readonly string[];
  /**
   * By output: the inputs that it may overwrite, at the same address. The op reads element i before it writes
   * element i, and never later. No other overlap is allowed.
   */
  readonly overwrites?: Readonly<Record<string, readonly (keyof I & string)[]>>;
  /**
   * Checks the sizes of the inputs. Returns dtype and shape of each output; undefined: not made by this
   * call.
   */
  shapes(inputs: I, attributes: A): SpecsOf<O>;
  /**
   * Floating point operations of a call; a multiply-add counts two. Absent for ops that are bound by memory.
   * undefined if the number depends on the contents of arrays that are not in host memory.
   */
  flops?(inputs: I, attributes: A): number | undefined;
  /** Computes the outputs. All arrays are in host memory and contiguous. */
  reference(inputs: I, outputs: O, attributes: A): void;
}

/** The argument of `defineOp`. */
type Definition<I extends Arrays, O extends Arrays, A> = Omit<Op<I, O, A>, 'takes' | 'rules'> & {
  readonly takes: { readonly [K in keyof NoInfer<I> & string]-?: ArrayRule };
};

/**
 * Defines an op. The type parameters are inferred from `shapes` and `reference`, and the compiler refuses a
 * `takes` that lacks an input.
 *
 * @example
 * const half = defineOp({
 *   name: 'half',
 *   takes: { x: f32Array(null) },
 *   shapes: ({ x }: { x: ArrayView<'f32'> }) => ({ y: { dtype: 'f32', shape: x.shape } }),
 *   reference({ x }, { y }: { y: ArrayView<'f32'> }) {
 *     hostData(y).set(hostData(x).map((value) => value / 2));
 *   },
 * });
 */
export const defineOp = <I extends Arrays, O extends Arrays, A>(op: Definition<I, O, A>): Op<I, O, A> => ({
  ...op,
  rules: namedRules(op.takes),
});
