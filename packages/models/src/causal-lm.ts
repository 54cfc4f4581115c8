import {
  checkOptions,
  DTYPE_BYTES,
  elementCount,
  QdyloraError,
  rowsOf,
  runOp,
  trueOrFalse,
  type ArrayView,
  type Backend,
  type DataOf,
  type FloatView,
} from '@qdylora/contract';
import {
  apply,
  constant,
  differentiableLinear,
  differentiableLinearCrossEntropy,
  differentiableSoftCap,
  isPacked,
  linearArgmax,
  mapLinears,
  modulesOf,
  parametersOf,
  type ForwardContext,
  type Linear,
  type LinearLike,
  type Parameter,
  type Tensor,
} from '@qdylora/tensor';
import {
  batchArrays,
  i32Array,
  type BatchArrays,
  type LossInputs,
  type TokenInputs,
} from './batch-arrays.ts';
import { decoderHidden, type DecoderModules } from './decoder.ts';
import type { Family, FamilyConfig } from './families/family.ts';
import { createHeadCodes, type HeadCodes } from './generate/head-codes.ts';
import { createKvCache, type KvCache } from './generate/kv-cache.ts';
import { createTokenStep, type TokenStep } from './generate/token-step.ts';

type F32 = ArrayView<'f32'>;

/**
 * A decoder: token ids in, hidden states, logits or a loss out. The rank of its adapters, if any, stands in
 * the context of each call.
 */
export interface CausalLm {
  readonly name: string;
  readonly modelType: string;
  readonly config: FamilyConfig;
  readonly backend: Backend;
  readonly modules: unknown;
  /**
   * Ends of the layers that PEFT adapts in this family where an adapter names none; null where PEFT has no
   * such default.
   */
  readonly peftTargets: readonly string[] | null;
  /**
   * True where checkpoints of this family store linear weights as [in, out] (GPT-2): PEFT's `fan_in_fan_out`.
   * In memory they are [out, in] always.
   */
  readonly storesInOut: boolean;
  /** The same model with other layers in place of its linear ones; everything else is shared. */
  withModules(replace: (layer: Linear) => LinearLike): CausalLm;
  parameters(): Parameter[];
  /** Weights, packed ones included. */
  readonly parameterCount: number;
  /** Bytes of all weights as they lie in memory; a tied head counts once. */
  readonly weightBytes: number;
  /** Hidden states after the last norm: [tokens, hidden] */
  hidden(ctx: ForwardContext, inputs: TokenInputs, cache?: KvCache): Tensor<F32>;
  /** [tokens, vocabulary]; for short inputs, since all rows exist together. */
  logits(ctx: ForwardContext, inputs: TokenInputs): Tensor<F32>;
  /** loss = lossScale · Σ over counted tokens: [1]; tokenLosses: [tokens], 0 where not counted */
  loss(
    ctx: ForwardContext,
    inputs: LossInputs,
    options: { readonly lossScale: number },
  ): { loss: Tensor<F32>; tokenLosses: F32 };
  createCache(capacity: number): KvCache;
  /** Logits after the last token: [vocabulary], copied out. */
  nextLogits(ctx: ForwardContext, inputs: TokenInputs, cache: KvCache): Promise<Float32Array>;
  /** The likeliest token after the last one (of equals the first). */
  nextLikeliest(ctx: ForwardContext, inputs: TokenInputs, cache: KvCache): Promise<number>;
  /** `nextLogits` of one token after another; to be disposed. */
  createLogitsStep(ctx: ForwardContext, cache: KvCache): TokenStep<Float32Array>;
  /**
   * `nextLikeliest` of one token after another; to be disposed. With `hasCodes` it reads 8-bit codes of the
   * head as it is now ([vocabulary, hidden] bytes), and of the head itself what can win: the same tokens.
   */
  createLikeliestStep(
    ctx: ForwardContext,
    cache: KvCache,
    options?: { readonly hasCodes?: boolean },
  ): TokenStep<number>;
}

export function createCausalLm<C extends FamilyConfig, L>(
  family: Family<C, L>,
  config: C,
  modules: DecoderModules<L>,
  backend: Backend,
  name: string,
): CausalLm {
  const { logitSoftCap: softCap } = config;
  const { weight: headWeight } = modules.head;
  const weight = headWeight as never;
  const rows = (ctx: ForwardContext, batch: BatchArrays, cache?: KvCache): Tensor<F32> =>
    // the last norm makes float32
    decoderHidden(family, config, modules, { ctx, batch, cache }) as Tensor<F32>;
  const hidden = (ctx: ForwardContext, inputs: TokenInputs, cache?: KvCache): Tensor<F32> => {
    assertPositions(name, config.positionLimit, inputs.positions);
    const pass = (): Tensor<F32> => rows(ctx, batchArrays(backend, inputs), cache);
    return cache ? cache.extend(inputs.ids.length, pass) : pass();
  };
  const project = (ctx: ForwardContext, x: Tensor<F32>): Tensor<F32> => {
    const { y } = apply(
      ctx,
      differentiableLinear,
      { x, weight, bias: undefined },
      { computeDtype: ctx.computeDtype },
    );
    return softCap > 0 ? apply(ctx, differentiableSoftCap, { x: y }, { cap: softCap }).y : (y as Tensor<F32>);
  };
  const lastLogits = (ctx: ForwardContext, x: Tensor<F32>): F32 => project(ctx, constant(lastRow(x))).view;
  const likeliest = (ctx: ForwardContext, x: Tensor<F32>, codes?: HeadCodes): ArrayView<'i32'> =>
    // a soft cap keeps the order
    runOp(
      ctx.backend,
      linearArgmax,
      { x: lastRow(x), weight: headWeight.view as FloatView, ...codes?.operands },
      { computeDtype: ctx.computeDtype },
    ).ids;
  const stepOf = <D extends 'f32' | 'i32'>(
    ctx: ForwardContext,
    cache: KvCache,
    answer: (ctx: ForwardContext, x: Tensor<F32>) => ArrayView<D>,
  ): TokenStep<DataOf[D]> =>
    createTokenStep(backend, {
      cache,
      assertPosition: (position) => {
        assertPositions(name, config.positionLimit, Int32Array.of(position));
      },
      pass(own, batch) {
        const inner = { ...ctx, backend: own };
        return answer(inner, rows(inner, batch, cache));
      },
    });
  return {
    name,
    modelType: family.modelType,
    config,
    backend,
    modules,
    peftTargets: family.peftTargets,
    storesInOut: family.storesInOut ?? false,
    withModules: (replace) => createCausalLm(family, config, mapLinears(modules, replace), backend, name),
    parameters: () => parametersOf(modules),
    ...sizesOf(modules),
    hidden,
    logits: (ctx, inputs) => project(ctx, hidden(ctx, inputs)),
    loss(ctx, inputs, { lossScale }) {
      const x = hidden(ctx, inputs);
      const targets = constant(i32Array(backend, inputs.targets));
      const { loss, tokenLosses } = apply(
        ctx,
        differentiableLinearCrossEntropy,
        { x, weight, targets, tokenWeights: undefined },
        { computeDtype: ctx.computeDtype, lossScale, softCap, gradient: ctx.tape !== null },
      );
      return { loss, tokenLosses: tokenLosses.view };
    },
    createCache: (capacity) => createKvCache(backend, config.attention, capacity),
    async nextLogits(ctx, inputs, cache) {
      return readOnce(backend, () => lastLogits(ctx, hidden(ctx, inputs, cache)));
    },
    async nextLikeliest(ctx, inputs, cache) {
      const [id] = await readOnce(backend, () => likeliest(ctx, hidden(ctx, inputs, cache)));
      return id!;
    },
    createLogitsStep: (ctx, cache) => stepOf(ctx, cache, lastLogits),
    createLikeliestStep(ctx, cache, options = {}) {
      checkOptions('likeliest-step', options, { hasCodes: trueOrFalse });
      const { hasCodes = false } = options;
      const codes = hasCodes ? createHeadCodes(backend, headWeight.view as FloatView) : undefined;
      const step = stepOf(ctx, cache, (own, x) => likeliest(own, x, codes));
      return {
        next: async (id) => (await step.next(id))[0]!,
        [Symbol.dispose]() {
          step[Symbol.dispose]();
          codes?.[Symbol.dispose]();
        },
      };
    },
  };
}

const lastRow = ({ view }: Tensor<F32>): F32 => rowsOf(view, view.shape[0]! - 1, view.shape[0]!);

/** What `compute` makes, copied out; everything that it took is given back. */
async function readOnce<D extends 'f32' | 'i32'>(
  backend: Backend,
  compute: () => ArrayView<D>,
): Promise<DataOf[D]> {
  const view = backend.memory.scoped(compute, (kept) => [kept]);
  const values = await backend.memory.read(view);
  backend.memory.release(view);
  return values;
}

function assertPositions(name: string, limit: number, positions: Int32Array): void {
  const tooFar = Number.isFinite(limit) ? positions.find((position) => position >= limit) : undefined;
  if (tooFar !== undefined)
    throw new QdyloraError('BAD_ARGUMENT', {
      where: name,
      problem: `expected sequences of at most ${limit} tokens, got position ${tooFar}`,
      nextStep: 'Use shorter sequences: max_seq_length, max_new_tokens.',
      details: { limit },
    });
}

/** Counts what lies in memory, each array once. */
function sizesOf(modules: unknown): { parameterCount: number; weightBytes: number } {
  let parameterCount = 0;
  let weightBytes = 0;
  const add = (shape: readonly number[], bytes: number): void => {
    parameterCount += elementCount(shape);
    weightBytes += bytes;
  };
  for (const { view } of parametersOf(modules))
    add(view.shape, elementCount(view.shape) * DTYPE_BYTES[view.dtype]);
  for (const layer of modulesOf(modules)) {
    const weight = (layer as Partial<Linear>).weight ?? (layer as { base?: Linear }).base?.weight;
    if (weight && isPacked(weight)) add(weight.shape, weight.byteLength);
  }
  return { parameterCount, weightBytes };
}
