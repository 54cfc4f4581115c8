import type { ArraySpec, ArrayView } from './array-view.ts';

/** Arrays by name; `undefined` = an optional array that this call leaves out. */
export type Arrays = Readonly<Record<string, ArrayView | undefined>>;
export type SpecsOf<O> = { readonly [K in keyof O]: ArraySpec | undefined };

/**
 * An op is a contract: names, shapes and a slow, clear reference in float64. Kernels of every backend are tested against it.
 *
 * - `shapes` checks the inputs and says what each output is (undefined = this call does not make it).
 * - `flops` counts a call's floating point operations (a multiply-add is two); an op without it is bound by the bytes that it moves.
 * - `accumulates` names the outputs that a call *adds to*; the caller hands them in, already holding numbers.
 * - `halves` names the inputs and outputs that may be bf16 as well as f32. A kernel takes them as they are; the reference always sees f32: `runOp` widens them, and rounds what it made.
 * - `overwrites` names, by output, the inputs that it may lie exactly over: element i is read before it is written, and by nobody later. No other overlap is allowed.
 */
export interface Op<I extends Arrays = Arrays, O extends Arrays = Arrays, A = unknown> {
  readonly name: string;
  readonly accumulates?: readonly (keyof O & string)[];
  readonly halves?: readonly string[];
  readonly overwrites?: Readonly<Record<string, readonly (keyof I & string)[]>>;
  shapes(inputs: I, attributes: A): SpecsOf<O>;
  flops?(inputs: I, attributes: A): number;
  reference(inputs: I, outputs: O, attributes: A): void;
}

/** Names the type parameters once, so that a call site never spells them. */
export const defineOp = <I extends Arrays, O extends Arrays, A>(op: Op<I, O, A>): Op<I, O, A> => op;
