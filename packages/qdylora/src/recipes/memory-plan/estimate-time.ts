import { runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { rankProbabilities, rankSet } from '@qdylora/lora-dynamic';
import { quantizeOn } from '@qdylora/models';
import { arraysOf, packedWeight } from '@qdylora/quant';
import { linear, type ComputeDtype, type Recompute } from '@qdylora/tensor';
import type { RunConfig } from '../../config/resolve-run.ts';
import { quantizationOf } from '../opening/open-source.ts';

/** How long training takes, by the operations of its matrix products. Attention is not counted. */
export interface TimeEstimate {
  /** Operations for each token of a training pass. */
  readonly operationsPerToken: number;
  /** Speed of one measured product, in operations per second. */
  readonly operationsPerSecond: number;
  readonly tokensPerSecond: number;
  /** Tokens of one optimizer step whose rows are all `max_seq_length` long. */
  readonly stepTokens: number;
  /** Mean over the steps of the run, with the further passes of distillation. */
  readonly stepSeconds: number;
  /** All of `max_steps`; null where the number of steps depends on the rows. */
  readonly runSeconds: number | null;
}

export interface EstimatedModel {
  /** Parameters of the base. */
  readonly parameterCount: number;
  readonly trainableCount: number;
  readonly hiddenSize: number;
  readonly layers: number;
  /** Which layers run again in backward. */
  readonly recompute: Recompute;
}

type TimedConfig = RunConfig & { readonly computeDtype: ComputeDtype };

/** Estimates the time of training from a product of the model's width, measured on `backend`. */
export async function estimateTime(
  backend: Backend,
  config: TimedConfig,
  model: EstimatedModel,
): Promise<TimeEstimate> {
  const operationsPerToken = trainingOperations(config, model);
  const operationsPerSecond = await measureProduct(backend, config, model.hiddenSize);
  const tokensPerSecond = operationsPerSecond / operationsPerToken;
  const stepTokens = config.microBatchSize * config.gradientAccumulationSteps * config.maxSeqLength;
  const stepSeconds = (passesPerRow(config) * stepTokens) / tokensPerSecond;
  const runSeconds = config.maxSteps === null ? null : config.maxSteps * stepSeconds;
  return { operationsPerToken, operationsPerSecond, tokensPerSecond, stepTokens, stepSeconds, runSeconds };
}

/**
 * Operations of one trained token: a product costs 2 a parameter, in forward and in the gradient of its
 * input. A trained parameter costs 2 more for its own gradient. Recompute runs forward once more:
 *
 *     (4 + 2 · recomputed share) · base + (6 + 2 · recomputed share) · trainable
 *
 * Where the base itself is trained, it is counted once, as trainable. The schedule `all` runs every rank.
 */
export function trainingOperations(
  { method, rankSchedule, ranks }: Pick<RunConfig, 'method' | 'rankSchedule' | 'ranks'>,
  { parameterCount, trainableCount, recompute, layers }: EstimatedModel,
): number {
  const forwards = 1 + recomputedShare(recompute, layers);
  const base = method === 'none' ? 0 : parameterCount;
  const passes = rankSchedule === 'all' && ranks ? ranks.length : 1;
  return passes * ((2 + 2 * forwards) * base + (4 + 2 * forwards) * trainableCount);
}

/**
 * How often a row goes through the model, on the average of all steps. After the steps at the largest rank
 * alone, half of the rows run once more at the smallest rank; with the student `both` the other half also,
 * where a smaller rank is drawn. The student `drawn` has half as many rows, each twice.
 */
export function passesPerRow({
  distillation,
  distillationStudent: student,
  rankDistribution,
  ranks,
  wideRatio,
}: Pick<
  RunConfig,
  'distillation' | 'distillationStudent' | 'rankDistribution' | 'ranks' | 'wideRatio'
>): number {
  if (!distillation || !ranks || student === 'drawn') return 1;
  const isOtherHalf = student === 'both' && rankDistribution !== null;
  const largest = isOtherHalf ? rankProbabilities(rankSet(ranks), rankDistribution).at(-1)! : 1;
  return 1 + (1 - (wideRatio ?? 0)) * (0.5 + 0.5 * (1 - largest));
}

/** Share of the layers whose forward pass runs a second time. */
function recomputedShare(recompute: Recompute, layers: number): number {
  if (typeof recompute === 'boolean') return recompute ? 1 : 0;
  return 'every' in recompute ? 1 : recompute.first / layers;
}

/** Rows of the measured matrix. */
const MEASURED_ROWS = 1024;
/** Tokens that it multiplies: at first, and at most. */
const FIRST_TOKENS = 4;
const MOST_TOKENS = 512;
/** A product that takes so long is timed well enough as the best of three. */
const LONG_ENOUGH_SECONDS = 0.02;
/** A product that takes so long is timed well enough alone on the TypeScript backend. */
const LONG_ENOUGH_ALONE_SECONDS = 0.2;

/** Operations per second of y = x · Wᵀ with W: [1024, hidden] stored as the run stores its base. */
async function measureProduct(backend: Backend, config: TimedConfig, hiddenSize: number): Promise<number> {
  const { memory } = backend;
  const product = await measuredProduct(backend, config, hiddenSize);
  const secondsOf = async (tokens: number): Promise<number> => {
    const x = memory.allocate('f32', [tokens, hiddenSize]);
    memory.fill(x, (values) => values.fill(0.5));
    const start = performance.now();
    const y = product.multiply(x);
    await memory.read(y);
    const seconds = (performance.now() - start) / 1000;
    memory.release(x);
    memory.release(y);
    return seconds;
  };
  try {
    const { tokens, seconds } = await timeProduct(secondsOf, backend.name === 'host');
    return (2 * tokens * MEASURED_ROWS * hiddenSize) / seconds;
  } finally {
    product.dispose();
  }
}

/**
 * Doubles the number of tokens until one product takes 20 ms. The best of three counts: another process may
 * interrupt a product, and the first one loads kernels.
 *
 * @param isUsuallySlow true: a first product of 200 ms or more is not repeated (the TypeScript backend)
 */
export async function timeProduct(
  secondsOf: (tokens: number) => Promise<number>,
  isUsuallySlow: boolean,
): Promise<{ readonly tokens: number; readonly seconds: number }> {
  for (let tokens = FIRST_TOKENS; ; tokens *= 2) {
    const first = await secondsOf(tokens);
    const isTimedAlone = isUsuallySlow && first >= LONG_ENOUGH_ALONE_SECONDS;
    const seconds = isTimedAlone ? first : Math.min(first, await secondsOf(tokens), await secondsOf(tokens));
    if (seconds >= LONG_ENOUGH_SECONDS || tokens >= MOST_TOKENS) return { tokens, seconds };
  }
}

interface MeasuredProduct {
  multiply(x: ArrayView<'f32'>): ArrayView;
  dispose(): void;
}

async function measuredProduct(
  backend: Backend,
  config: TimedConfig,
  hiddenSize: number,
): Promise<MeasuredProduct> {
  const { memory } = backend;
  const { computeDtype, method, quantization } = config;
  const shape = [MEASURED_ROWS, hiddenSize] as const;
  const values = new Float32Array(MEASURED_ROWS * hiddenSize);
  for (let i = 0; i < values.length; i++) values[i] = Math.sin(i);
  if (method === 'none' || quantization === 'none') {
    const weight = memory.allocate('f32', shape);
    memory.write(weight, values);
    return {
      multiply: (x) => runOp(backend, linear, { x, weight }, { computeDtype }).y,
      dispose: () => memory.release(weight),
    };
  }
  const matrix = await quantizeOn(backend, values, shape, { ...quantizationOf(config), kind: quantization });
  const { multiply, operands, attributes } = packedWeight(matrix);
  return {
    multiply: (x) => runOp(backend, multiply, { x, ...operands }, { ...attributes, computeDtype }).y!,
    dispose: () => arraysOf(matrix).forEach((array) => memory.release(array)),
  };
}
