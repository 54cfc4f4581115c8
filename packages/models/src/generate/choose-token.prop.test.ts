import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRng } from '@qdylora/contract';
import { chooseToken, type SamplingOptions } from './choose-token.ts';

const arbitraryLogits = fc
  .record({
    count: fc.integer({ min: 1, max: 300 }),
    seed: fc.nat(1e6),
    spread: fc.constantFrom(0, 0.1, 3, 1e3),
    levels: fc.constantFrom(0, 4),
  })
  .map(({ count, seed, spread, levels }) =>
    Float32Array.from({ length: count }, (_, i) => {
      const x = createRng(seed).uniform(i) * spread;
      return levels ? Math.round(x * levels) / levels : x;
    }),
  );
const arbitraryOptions = fc.record({
  temperature: fc.constantFrom(0.01, 0.7, 1, 5),
  topK: fc.constantFrom(0, 0, 1, 5, 1000),
  topP: fc.constantFrom(1, 1, 0.9, 0.3, 0),
});

/** The tokens that may be drawn, by sorting them all, with their probabilities. */
function allowed(
  logits: Float32Array,
  { temperature, topK, topP }: Required<SamplingOptions>,
): Map<number, number> {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a] || a - b);
  const kept = topK > 0 ? order.slice(0, topK) : order;
  const weights = kept.map((id) => Math.exp((logits[id] - logits[kept[0]]) / temperature));
  const total = weights.reduce((sum, w) => sum + w, 0);
  let count = 0;
  let sum = 0;
  while (count < kept.length && sum < topP * total) sum += weights[count++];
  return new Map(kept.slice(0, Math.max(1, count)).map((id, i) => [id, count === 0 ? 1 : weights[i] / sum]));
}

test('only tokens that the cuts leave are drawn, whatever the logits', () => {
  fc.assert(
    fc.property(arbitraryLogits, arbitraryOptions, fc.nat(1e6), (logits, options, seed) => {
      const left = allowed(logits, { ...options, topP: Math.min(1, options.topP + 1e-9) });
      const rng = createRng(seed); // a sum in another order may end on the other side of a bound
      for (let step = 0; step < 20; step++) {
        const id = chooseToken(logits, options, rng, step);
        expect(left.has(id)).toBe(true);
        expect(chooseToken(logits, options, rng, step)).toBe(id);
      }
    }),
    { numRuns: 300 },
  );
});

test('tokens are drawn as often as they are likely', () => {
  const logits = Float32Array.from([1, 3, 2, 3, -5, 0.5]);
  const draws = 20_000;
  for (const options of [
    { temperature: 1, topK: 0, topP: 1 },
    { temperature: 2, topK: 4, topP: 1 },
    { temperature: 1, topK: 0, topP: 0.8 },
    { temperature: 1.5, topK: 5, topP: 0.9 },
  ]) {
    const rng = createRng(11);
    const counts = new Map<number, number>();
    for (let step = 0; step < draws; step++) {
      const id = chooseToken(logits, options, rng, step);
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const want = allowed(logits, options);
    for (const id of logits.keys()) {
      const p = want.get(id) ?? 0;
      expect(Math.abs((counts.get(id) ?? 0) - p * draws)).toBeLessThanOrEqual(
        5 * Math.sqrt(p * (1 - p) * draws),
      ); // five standard deviations, of a fixed seed
    }
  }
});

test('NaN is never drawn, an infinite logit always, and one token where there is no other', () => {
  const rng = createRng(3);
  for (let step = 0; step < 50; step++) {
    for (const cut of [
      { topK: 0, topP: 1 },
      { topK: 3, topP: 1 },
      { topK: 0, topP: 0.9 },
    ]) {
      expect(chooseToken(Float32Array.from([NaN, 1, NaN]), { temperature: 1, ...cut }, rng, step)).toBe(1);
      expect(chooseToken(Float32Array.from([5, Infinity, 3]), { temperature: 1, ...cut }, rng, step)).toBe(1);
      expect(chooseToken(Float32Array.from([-Infinity, -7]), { temperature: 1, ...cut }, rng, step)).toBe(1);
      for (const one of [4, NaN, -Infinity])
        expect(chooseToken(Float32Array.from([one]), { temperature: 1, ...cut }, rng, step)).toBe(0);
    }
  }
});
