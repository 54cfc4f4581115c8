import { namedRules, type ArrayRule, type NamedRule } from './array-rule.ts';
import type { Arrays, ArraySpec } from '../arrays/array-view.ts';

export type SpecsOf<O> = { readonly [K in keyof O]: ArraySpec | undefined };

/**
 * An op is a contract: names, shapes and a slow, clear reference in float64. Kernels of every backend are
 * tested against it.
 *
 * - `takes` says of every input what its elements are, how many axes it has, and whether a call may leave it
 *   out; `runOp` checks that first.
 * - `shapes` checks the sizes of the inputs and says what each output is (undefined = this call does not make
 *   it).
 * - `flops` counts a call's floating point operations (a multiply-add is two); an op without it is bound by
 *   the bytes that it moves.
 * - `accumulates` names the outputs that a call *adds to*; the caller hands them in, already holding numbers,
 *   or leaves them out where nobody wants them.
 * - `updates` names the outputs that a call changes in place and cannot do without; `addsWhereAsked` the one
 *   that it adds to where its attribute `accumulate` is true. Both must be handed in then.
 * - `acceptsNaN`: an attribute may be NaN. Everywhere else that is refused.
 * - `halves` names the inputs and outputs that may be bf16 as well as f32. A kernel takes them as they are;
 *   the reference always sees f32: `runOp` widens them, and rounds what it made.
 * - `overwrites` names, by output, the inputs that it may lie exactly over: element i is read before it is
 *   written, and by nobody later. No other overlap is allowed.
 */
export interface Op<I extends Arrays = Arrays, O extends Arrays = Arrays, A = unknown> {
  readonly name: string;
  readonly takes: Readonly<Record<string, ArrayRule>>;
  /** `takes` as a list, made by `defineOp`. */
  readonly rules: readonly NamedRule[];
  readonly accumulates?: readonly (keyof O & string)[];
  readonly updates?: readonly (keyof O & string)[];
  readonly addsWhereAsked?: keyof O & string;
  readonly acceptsNaN?: true;
  readonly halves?: readonly string[];
  readonly overwrites?: Readonly<Record<string, readonly (keyof I & string)[]>>;
  shapes(inputs: I, attributes: A): SpecsOf<O>;
  flops?(inputs: I, attributes: A): number;
  reference(inputs: I, outputs: O, attributes: A): void;
}

/** An op as it is written down. */
type Definition<I extends Arrays, O extends Arrays, A> = Omit<Op<I, O, A>, 'takes' | 'rules'> & {
  readonly takes: { readonly [K in keyof NoInfer<I> & string]-?: ArrayRule };
};

/**
 * Names the type parameters once, so that a call site never spells them; the compiler sees to it that `takes`
 * has a rule for every input.
 */
export const defineOp = <I extends Arrays, O extends Arrays, A>(op: Definition<I, O, A>): Op<I, O, A> => ({
  ...op,
  rules: namedRules(op.takes),
});
