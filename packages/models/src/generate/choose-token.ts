import type { Rng } from '@qdylora/contract';

/** `temperature` 0 = greedy (the first of equals). `topK` 0 and `topP` 1 = no cut. */
export interface SamplingOptions {
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
}

/** How far below the greatest logit, in temperatures, likely tokens are looked for first. */
const NEAR = 4;

/**
 * Draws the next token for one row of logits: [vocabulary], at a temperature above 0. A pure function of
 * (logits, rng, step). Logits that are NaN are never drawn; where all are, token 0 is.
 * A cut leaves the `topK` likeliest tokens, then the likeliest of these whose probabilities add up to `topP`
 * (the nucleus: Holtzman et al. 2020); of equals the first count as likelier.
 */
export function chooseToken(
  logits: Float32Array,
  { temperature, topK, topP }: Required<SamplingOptions>,
  rng: Rng,
  step: number,
): number {
  const { weights, total, greatest } = weightsOf(logits, temperature);
  if (topK <= 0 && topP >= 1) return draw(rng.uniform(step) * total, logits.length, (i) => i, weights);
  const isEnough = (count: number, sum: number): boolean => (topK > 0 ? count >= topK : sum >= topP * total);
  const likely = likeliest(logits, greatest, temperature, weights, isEnough);
  const kept = topK > 0 ? likely.slice(0, topK) : likely;
  const all = topK > 0 ? kept.reduce((sum, id) => sum + weights[id]!, 0) : total;
  if (kept.length === 0) return 0;
  let nucleus = 1;
  let sum = weights[kept[0]!]!;
  while (nucleus < kept.length && sum < topP * all) sum += weights[kept[nucleus++]!]!;
  return draw(rng.uniform(step) * sum, nucleus, (i) => kept[i]!, weights);
}

/** Unnormalized probabilities, the greatest 1. */
function weightsOf(
  logits: Float32Array,
  temperature: number,
): { readonly weights: Float64Array; readonly total: number; readonly greatest: number } {
  let greatest = -Infinity;
  let total = 0;
  for (const logit of logits) if (logit > greatest) greatest = logit;
  const weights = new Float64Array(logits.length);
  for (let id = 0; id < logits.length; id++) {
    // also of infinite ones
    const weight = logits[id] === greatest ? 1 : Math.exp((logits[id]! - greatest) / temperature);
    if (weight > 0) total += weights[id] = weight;
  }
  return { weights, total, greatest };
}

/**
 * The likeliest tokens in their order, as many as are enough and some more; only these are sorted: of a
 * vocabulary that would take longer than the model.
 */
function likeliest(
  logits: Float32Array,
  greatest: number,
  temperature: number,
  weights: Float64Array,
  isEnough: (count: number, sum: number) => boolean,
): number[] {
  for (let below = NEAR * temperature; ; below *= 2) {
    const least = Number.isFinite(below) ? greatest - below : -Infinity;
    const ids: number[] = [];
    let sum = 0;
    for (let id = 0; id < logits.length; id++) {
      if (!(logits[id]! >= least)) continue;
      ids.push(id);
      sum += weights[id]!;
    }
    if (isEnough(ids.length, sum) || least === -Infinity)
      return ids.sort((a, b) => logits[b]! - logits[a]! || a - b);
  }
}

/** The token at which `left` runs out; the last one that has a weight where rounding leaves a rest. */
function draw(left: number, count: number, idAt: (i: number) => number, weights: Float64Array): number {
  let last = 0;
  for (let i = 0; i < count; i++) {
    const id = idAt(i);
    const weight = weights[id]!;
    if (weight === 0) continue;
    last = id;
    if ((left -= weight) < 0) break;
  }
  return last;
}
