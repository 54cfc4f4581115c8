import type { CausalLm } from '@qdylora/models';
import { isPacked, Linear, modulesOf } from '@qdylora/tensor';

/** Number of matrices by storage: `{ nf4: 200, bf16: 10 }`, the most frequent first. */
export type WeightPrecision = Readonly<Record<string, number>>;

/** Counts the matrices of all linear layers in memory. The head is not one of them, and never packed. */
export function weightPrecision({ modules }: Pick<CausalLm, 'modules'>): WeightPrecision {
  const counts = new Map<string, number>();
  for (const layer of modulesOf(modules)) {
    if (!(layer instanceof Linear)) continue;
    const { weight } = layer;
    const kind = isPacked(weight) ? weight.kind : weight.view.dtype;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

/** `weights: nf4 (200 matrices), bf16 (10)`. */
export const precisionText = (precision: WeightPrecision): string =>
  `weights: ${Object.entries(precision)
    .map(([kind, count], i) => `${kind} (${count}${i === 0 ? ' matrices' : ''})`)
    .join(', ')}`;
