import type { Arrays, ArrayView, Op } from '@qdylora/contract';

/** Runs an op in the backward pass. */
export type Run = <I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  inputs: I,
  attributes: A,
  suppliedOutputs?: Partial<O>,
) => O;

type InputsOf<T> =
  T extends Op<infer I, Arrays, infer _A> ? I : T extends Op<infer I, infer _O, infer _A> ? I : never;
type OutputsOf<T> = T extends Op<infer _I, infer O, infer _A> ? O : never;
type AttributesOf<T> = T extends Op<infer _I, infer _O, infer A> ? A : never;

/** The forward call, as its backward rule sees it. */
export interface BackwardCall<I, O, A> {
  readonly run: Run;
  readonly inputs: I;
  /** The outputs in `usesOutputs`. All others are released by now. */
  readonly outputs: O;
  readonly attributes: A;
  /** The gradient of each output, of the output's dtype. Outputs that nothing used have none. */
  readonly gradients: { readonly [K in keyof O]-?: NonNullable<O[K]> };
  /** True if the output's gradient is the 1 that backward starts from. */
  readonly isRoot: boolean;
  /** True if this input needs a gradient. */
  wants(name: keyof I & string): boolean;
  /** The gradient array of a trainable parameter, to add to; undefined for all other inputs. */
  into(name: keyof I & string): ArrayView<'f32'> | undefined;
  /**
   * The gradient that this input already has from a later use. The rule may add to it in place; it then
   * returns the same view.
   */
  pending<K extends keyof I & string>(name: K): NonNullable<I[K]> | undefined;
  /**
   * The gradient of this output if nobody else reads it. The rule may overwrite it and return it as the
   * gradient of an input.
   */
  spare<K extends keyof O & string>(name: K): NonNullable<O[K]> | undefined;
  /**
   * The array of this input if nothing reads it any more. The rule may overwrite it and return it as the
   * input's gradient.
   */
  take<K extends keyof I & string>(name: K): NonNullable<I[K]> | undefined;
}

/** An op and its backward rule, in terms of other ops. */
export interface DifferentiableOp<T = unknown, I = InputsOf<T>, O = OutputsOf<T>, A = AttributesOf<T>> {
  readonly op: T;
  /** Outputs whose values the rule reads. All others are released before it runs. */
  readonly usesOutputs?: readonly (keyof O & string)[];
  /** True if the rule reads no values of inputs, for instance that of a sum. */
  readonly readsNoInput?: boolean;
  /**
   * The attributes of a call that computes only the outputs in `usesOutputs`: for recomputing a pass whose
   * results are known.
   */
  withoutResult?(attributes: A): A;
  /** Gradients that the forward op itself accumulates: input (a parameter) → accumulated output. */
  readonly gradientInForward?: Partial<Record<keyof I & string, keyof O & string>>;
  /** Returns the gradients of inputs by name. Gradients of parameters are added to `into(name)` instead. */
  backward(call: BackwardCall<I, O, A>): { readonly [K in keyof I]?: ArrayView | undefined };
}
