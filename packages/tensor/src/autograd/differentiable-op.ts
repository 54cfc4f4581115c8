import type { Arrays, ArrayView, Op } from '@qdylora/contract';

/** Runs another op of the backward pass. */
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

/** What a backward rule sees of the forward call. */
export interface BackwardCall<I, O, A> {
  readonly run: Run;
  readonly inputs: I;
  /** The outputs that `usesOutputs` names; the others are gone by now. */
  readonly outputs: O;
  readonly attributes: A;
  /**
   * Gradient of each output that has one, of the output's element type; outputs that nothing used are absent.
   */
  readonly gradients: { readonly [K in keyof O]-?: NonNullable<O[K]> };
  /** True where the output gradient is the 1 that backward starts from. */
  readonly isRoot: boolean;
  /** Does this input want a gradient? */
  wants(name: keyof I & string): boolean;
  /** The gradient buffer of a trainable parameter, to add to; undefined for everything else. */
  into(name: keyof I & string): ArrayView<'f32'> | undefined;
  /**
   * The gradient that this input already has from a later use and that the rule may add to in place; return
   * the same view then.
   */
  pending<K extends keyof I & string>(name: K): NonNullable<I[K]> | undefined;
  /**
   * The gradient of this output, where nobody else reads it: the rule may overwrite it and return it as the
   * gradient of an input.
   */
  spare<K extends keyof O & string>(name: K): NonNullable<O[K]> | undefined;
  /**
   * The array of this input, where nothing else reads it any more: the rule may write over it, and return it
   * as the input's gradient.
   */
  take<K extends keyof I & string>(name: K): NonNullable<I[K]> | undefined;
}

/** An op with its backward in terms of other ops. */
export interface DifferentiableOp<T = unknown, I = InputsOf<T>, O = OutputsOf<T>, A = AttributesOf<T>> {
  readonly op: T;
  /** Outputs whose values backward reads; the memory of all others is given back before it runs. */
  readonly usesOutputs?: readonly (keyof O & string)[];
  /** True where backward reads the values of no input: of a sum, for one. */
  readonly readsNoInput?: boolean;
  /**
   * The attributes of a call that makes only what `usesOutputs` names, where the op has those: for a pass
   * whose results are known.
   */
  withoutResult?(attributes: A): A;
  /** Gradients that the forward pass itself adds up: input (a parameter) → accumulated output. */
  readonly gradientInForward?: Partial<Record<keyof I & string, keyof O & string>>;
  /** Gradients of the inputs that are no parameters, by name. */
  backward(call: BackwardCall<I, O, A>): { readonly [K in keyof I]?: ArrayView | undefined };
}
