import type { Rng } from '@qdylora/contract';

/** `temperature` 0 = greedy (the first of equals). `topK` 0 and `topP` 1 = no cut. */
export interface SamplingOptions { readonly temperature?: number; readonly topK?: number; readonly topP?: number }

/** Draws the next token for one row of logits: [vocabulary], at a temperature above 0. A pure function of (logits, rng, step). */
export function chooseToken(logits: Float32Array, { temperature, topK, topP }: Required<SamplingOptions>, rng: Rng, step: number): number {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const kept = topK > 0 ? order.slice(0, topK) : order, largest = logits[kept[0]!]!;
  const weights = kept.map((id) => Math.exp((logits[id]! - largest) / temperature)), total = weights.reduce((sum, w) => sum + w, 0);
  let nucleus = 0, sum = 0;
  while (nucleus < kept.length && sum < topP * total) sum += weights[nucleus++]!;
  let left = rng.uniform(step) * sum;
  for (let i = 0; i < nucleus; i++) if ((left -= weights[i]!) < 0) return kept[i]!;
  return kept[Math.max(0, nucleus - 1)]!;
}
