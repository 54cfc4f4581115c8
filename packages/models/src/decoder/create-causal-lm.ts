import {
  checkOptions,
  QdyloraError,
  trueOrFalse,
  type ArrayView,
  type Backend,
  type DataOf,
  type FloatView,
} from '@qdylora/contract';
import { mapLinears, parametersOf, type ForwardContext, type Tensor } from '@qdylora/tensor';
import type { FamilyConfig } from '../families/family-config.ts';
import { createHeadCodes, type HeadCodes } from './head-codes.ts';
import { createKvCache, type KvCache, type LayerCaches } from './kv-cache.ts';
import { createTokenStep, type TokenStep } from './token-step.ts';
import { batchArrays, i32Array, type BatchArrays, type TokenInputs } from './batch-arrays.ts';
import type { CausalLm } from './causal-lm.ts';
import { decoderHidden, type Decoder } from './decoder-hidden.ts';
import { createModelHead } from './model-head.ts';
import { modelSizes } from './model-sizes.ts';
import { scoreTargets } from './score-targets.ts';

type F32 = ArrayView<'f32'>;

/** The backend that a model computes on, and its name in messages. */
export interface ModelPlace {
  readonly backend: Backend;
  readonly name: string;
}

/** A model of a family, from its config and its modules. */
export function createCausalLm<C extends FamilyConfig, L>(
  decoder: Decoder<C, L>,
  place: ModelPlace,
): CausalLm {
  const { family, config, modules } = decoder;
  const { backend, name } = place;
  const head = createModelHead(modules.head.weight, config.logitSoftCap);
  const pass = createForwardPass(decoder, place);
  return {
    name,
    modelType: family.modelType,
    config,
    backend,
    modules,
    peftTargets: family.peftTargets,
    storesInOut: family.storesInOut ?? false,
    withModules: (replace) => createCausalLm({ ...decoder, modules: mapLinears(modules, replace) }, place),
    parameters: () => parametersOf(modules),
    ...modelSizes(modules),
    vocabularySize: config.vocabularySize,
    hidden: pass.hidden,
    hiddenOfArrays: (ctx, arrays, layers) => pass.hiddenOf(ctx, arrays, { layers }),
    head,
    logits: (ctx, inputs) => head.logits(ctx, pass.hidden(ctx, inputs)),
    loss(ctx, inputs, { lossScale, softTargets }) {
      const hidden = pass.hidden(ctx, inputs);
      const targets = i32Array(backend, inputs.targets);
      return head.loss(ctx, hidden, { targets }, { lossScale, softTargets });
    },
    assertInputs: pass.assertInputs,
    lossOfArrays: (ctx, arrays, softTargets) =>
      head.loss(ctx, pass.hiddenOf(ctx, arrays), arrays, { lossScale: 1, softTargets }),
    scoreTargets: (ctx, inputs) => scoreTargets({ backend, head, hidden: pass.hidden }, ctx, inputs),
    createCache: (capacity) => createKvCache(backend, config.attention, capacity),
    async nextLogits(ctx, inputs, cache) {
      return readAndRelease(backend, () => head.lastLogits(ctx, pass.hidden(ctx, inputs, cache)));
    },
    async nextLikeliest(ctx, inputs, cache) {
      const [id] = await readAndRelease(backend, () => head.likeliest(ctx, pass.hidden(ctx, inputs, cache)));
      return id!;
    },
    createLogitsStep: (ctx, cache) => pass.createStep(ctx, cache, head.lastLogits),
    createLikeliestStep(ctx, cache, options = {}) {
      checkOptions('likeliest-step', options, { hasCodes: trueOrFalse });
      const codes = options.hasCodes
        ? createHeadCodes(backend, modules.head.weight.view as FloatView)
        : undefined;
      return likeliestStep(codes, () =>
        pass.createStep(ctx, cache, (inner, x) => head.likeliest(inner, x, codes)),
      );
    },
  };
}

/** A step that owns the codes it reads: they are released with it, or at once if `create` fails. */
function likeliestStep(codes: HeadCodes | undefined, create: () => TokenStep<Int32Array>): TokenStep<number> {
  let step: TokenStep<Int32Array>;
  try {
    step = create();
  } catch (error) {
    codes?.[Symbol.dispose]();
    throw error;
  }
  return {
    next: async (id) => (await step.next(id))[0],
    [Symbol.dispose]() {
      step[Symbol.dispose]();
      codes?.[Symbol.dispose]();
    },
  };
}

interface ForwardPass {
  /** @throws QdyloraError BAD_ARGUMENT if the model has no such position */
  assertInputs(inputs: Pick<TokenInputs, 'positions'>): void;
  /** The pass over inputs that are in place, which it does not check. */
  hiddenOf(ctx: ForwardContext, batch: BatchArrays, cache?: LayerCaches): Tensor<F32>;
  hidden(ctx: ForwardContext, inputs: TokenInputs, cache?: KvCache): Tensor<F32>;
  /** Repeats the pass of one token, with what `answer` makes of its hidden state. */
  createStep<D extends 'f32' | 'i32'>(
    ctx: ForwardContext,
    cache: KvCache,
    answer: (ctx: ForwardContext, x: Tensor<F32>) => ArrayView<D>,
  ): TokenStep<DataOf[D]>;
}

function createForwardPass<C extends FamilyConfig, L>(
  decoder: Decoder<C, L>,
  { backend, name }: ModelPlace,
): ForwardPass {
  const { positionLimit } = decoder.config;
  // The last norm returns float32.
  const hiddenOf = (ctx: ForwardContext, batch: BatchArrays, cache?: LayerCaches): Tensor<F32> =>
    decoderHidden(decoder, { ctx, batch, cache }) as Tensor<F32>;
  const assertInputs = ({ positions }: Pick<TokenInputs, 'positions'>): void => {
    assertPositions(name, positionLimit, positions);
  };
  return {
    assertInputs,
    hiddenOf,
    hidden(ctx, inputs, cache) {
      assertInputs(inputs);
      const run = (): Tensor<F32> => hiddenOf(ctx, batchArrays(backend, inputs), cache);
      return cache ? cache.extend(inputs.ids.length, run) : run();
    },
    createStep: (ctx, cache, answer) =>
      createTokenStep(backend, {
        cache,
        assertPosition: (position) => {
          assertPositions(name, positionLimit, Int32Array.of(position));
        },
        pass(recorder, batch) {
          const inner = { ...ctx, backend: recorder };
          return answer(inner, hiddenOf(inner, batch, cache));
        },
      }),
  };
}

/** Copies the result of `compute` out and releases everything that it allocated. */
async function readAndRelease<D extends 'f32' | 'i32'>(
  backend: Backend,
  compute: () => ArrayView<D>,
): Promise<DataOf[D]> {
  const view = backend.memory.scoped(compute, (result) => [result]);
  const values = await backend.memory.read(view);
  backend.memory.release(view);
  return values;
}

function assertPositions(name: string, limit: number, positions: Int32Array): void {
  const position = Number.isFinite(limit) ? positions.find((each) => each >= limit) : undefined;
  if (position === undefined) return;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: name,
    problem: `This model computes sequences of at most ${limit} tokens (got position ${position})`,
    nextStep: 'Use shorter sequences: max_seq_length, max_new_tokens.',
    details: { limit },
  });
}
