import type { Rng } from '@qdylora/contract';

/** `temperature` 0 = greedy (the first of equals). `topK` 0 and `topP` 1 = no cut. */
export interface SamplingOptions { readonly temperature?: number; readonly topK?: number; readonly topP?: number }

/** The next token for one row of logits: [vocabulary]. A pure function of (logits, rng, step). */
export function chooseToken(logits: Float32Array, { temperature = 0, topK = 0, topP = 1 }: SamplingOptions, rng: Rng, step: number): number {
  if (temperature <= 0) return greatest(logits);
  const order = Array.from(logits.keys()).sort((a, b) => logits[b]! - logits[a]! || a - b);
  const kept = topK > 0 ? order.slice(0, topK) : order, largest = logits[kept[0]!]!;
  const weights = kept.map((id) => Math.exp((logits[id]! - largest) / temperature)), total = weights.reduce((sum, w) => sum + w, 0);
  let nucleus = 0, sum = 0;
  while (nucleus < kept.length && sum < topP * total) sum += weights[nucleus++]!;
  let left = rng.uniform(step) * sum;
  for (let i = 0; i < nucleus; i++) if ((left -= weights[i]!) < 0) return kept[i]!;
  return kept[Math.max(0, nucleus - 1)]!;
}

function greatest(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}
