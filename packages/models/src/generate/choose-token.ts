import { numberWithin, wholeNumber, type OptionRules, type Rng } from '@qdylora/contract';

/** How the next token is chosen. */
export interface SamplingOptions {
  /** Divides the logits; 0, the default, always takes the most likely token (among equals the first). */
  readonly temperature?: number;
  /** Sample among the `topK` most likely tokens; 0, the default, among all. */
  readonly topK?: number;
  /**
   * Nucleus sampling: among the most likely tokens with total probability `topP`; 1, the default, among
   * all.
   */
  readonly topP?: number;
}

/** Checks of the options, for all that sample. */
export const SAMPLING_RULES: OptionRules<SamplingOptions> = {
  temperature: numberWithin({ least: 0 }),
  topK: wholeNumber(),
  topP: numberWithin({ least: 0, most: 1 }),
};

/** Likely tokens are first searched this many temperatures below the greatest logit, then twice as far. */
const NEAR = 4;
/** exp(−1024) is 0 in float64: what lies below is never drawn. */
const FARTHEST = 1024;

/**
 * Samples the next token from softmax(logits / temperature), at a temperature above 0.
 *
 * `topK` keeps the most likely tokens; `topP` then keeps the smallest set of these whose probabilities add
 * up to `topP` (nucleus sampling: Holtzman et al. 2020). Among equal logits the smaller id is the more
 * likely one. A NaN logit is never drawn; where all are NaN, token 0 is.
 *
 * A pure function of (logits, rng, step).
 *
 * @param logits [vocabulary]
 */
export function chooseToken(
  logits: Float32Array,
  { temperature, topK, topP }: Required<SamplingOptions>,
  rng: Rng,
  step: number,
): number {
  const distribution = weightsOf(logits, temperature);
  const { weights, total } = distribution;
  if (topK <= 0 && topP >= 1) return draw(rng.uniform(step) * total, logits.length, (i) => i, weights);
  const isEnough = (count: number, sum: number): boolean => (topK > 0 ? count >= topK : sum >= topP * total);
  const likely = likeliest(distribution, isEnough);
  const candidates = topK > 0 ? likely.slice(0, topK) : likely;
  const candidateTotal = topK > 0 ? candidates.reduce((sum, id) => sum + weights[id], 0) : total;
  if (candidates.length === 0) return 0;
  let nucleusSize = 1;
  let sum = weights[candidates[0]];
  while (nucleusSize < candidates.length && sum < topP * candidateTotal)
    sum += weights[candidates[nucleusSize++]];
  return draw(rng.uniform(step) * sum, nucleusSize, (i) => candidates[i], weights);
}

/** The distribution that a token is drawn from. */
interface Distribution {
  /** [vocabulary] */
  readonly logits: Float32Array;
  readonly temperature: number;
  readonly greatest: number;
  /** Unnormalized probabilities: [vocabulary] */
  readonly weights: Float64Array;
  /** Of the weights. */
  readonly total: number;
}

/** Unnormalized probabilities exp((logit − greatest) / temperature): [vocabulary] */
function weightsOf(logits: Float32Array, temperature: number): Distribution {
  let greatest = -Infinity;
  let total = 0;
  for (const logit of logits) if (logit > greatest) greatest = logit;
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++) {
    // The greatest has weight 1 even where it is infinite.
    const weight = logits[id] === greatest ? 1 : Math.exp((logits[id] - greatest) / temperature);
    if (weight > 0) total += weights[id] = weight;
  }
  return { logits, temperature, greatest, weights, total };
}

/**
 * The most likely tokens, sorted: at least as many as are enough. Only these are sorted, because sorting a
 * whole vocabulary takes longer than the model.
 */
function likeliest(
  { logits, temperature, greatest, weights }: Distribution,
  isEnough: (count: number, sum: number) => boolean,
): number[] {
  for (let below = NEAR * temperature; ; below *= 2) {
    const least = below < FARTHEST * temperature ? greatest - below : -Infinity;
    const ids: number[] = [];
    let sum = 0;
    for (let id = 0; id < logits.length; id++) {
      if (!(logits[id] >= least)) continue;
      ids.push(id);
      sum += weights[id];
    }
    if (isEnough(ids.length, sum) || least === -Infinity)
      return ids.sort((a, b) => logits[b] - logits[a] || a - b);
  }
}

/**
 * The token at which the running sum of weights exceeds `left`; where rounding leaves a rest, the last one.
 */
function draw(left: number, count: number, idAt: (i: number) => number, weights: Float64Array): number {
  let last = 0;
  for (let i = 0; i < count; i++) {
    const id = idAt(i);
    const weight = weights[id];
    if (weight === 0) continue;
    last = id;
    if ((left -= weight) < 0) break;
  }
  return last;
}
