import type { Tokenizer } from '@qdylora/data';
import { oneSequence, type CausalLm, type FamilyConfig } from '@qdylora/models';
import { inferenceContext, type ActiveRank } from '@qdylora/tensor';

/** A text on which two models are compared: prose, code, numbers. */
const PROBE_TEXT =
  'The sea was calm that morning, and 27 ships lay at anchor. "Where do we go?" she asked.\nfunction ' +
  'add(a, b) { return a + b; }\nQ: What is 12 * 12? A: 144.';

/** Without a tokenizer, ids spread over the vocabulary. */
const PROBE_TOKENS = 48;

/**
 * Token ids to compare two models on: the same for the same tokenizer, as many as the model has positions
 * for.
 */
export function probeIds(
  tokenizer: Tokenizer | null,
  { vocabularySize, positionLimit }: Pick<FamilyConfig, 'vocabularySize' | 'positionLimit'>,
): number[] {
  if (tokenizer) return [...tokenizer.encode(PROBE_TEXT, { addSpecialTokens: true })].slice(0, positionLimit);
  // the golden ratio spreads evenly
  return Array.from({ length: Math.min(PROBE_TOKENS, positionLimit) }, (_, i) =>
    Math.floor(((i * 0.618034) % 1) * vocabularySize),
  );
}

/** All logits of a few tokens, computed in float32: [tokens, vocabulary]. */
export async function probeLogits(
  { model, active }: { readonly model: CausalLm; readonly active: ActiveRank | null },
  ids: readonly number[],
): Promise<Float32Array> {
  const { backend } = model;
  const { memory } = backend;
  const logits = memory.scoped(
    () => model.logits({ ...inferenceContext(backend, 'f32'), active }, oneSequence(ids)).view,
    (view) => [view],
  );
  const values = await memory.read(logits);
  memory.release(logits);
  return values;
}

/** How far two models are apart on the same tokens. */
export interface LogitDifference {
  readonly tokens: number;
  /** Largest |difference| of a logit. */
  readonly largest: number;
  /** Mean |difference| of a logit. */
  readonly mean: number;
  /** Share of the tokens after which both models predict the same token. */
  readonly agreement: number;
}

/** a, b: [tokens, vocabulary] */
export function logitDifference(a: Float32Array, b: Float32Array, tokens: number): LogitDifference {
  const width = a.length / tokens;
  let largest = 0;
  let sum = 0;
  let agreeing = 0;
  for (let t = 0; t < tokens; t++) {
    let bestA = t * width;
    let bestB = bestA;
    for (let i = t * width; i < (t + 1) * width; i++) {
      const difference = Math.abs(a[i] - b[i]);
      largest = Math.max(largest, difference);
      sum += difference;
      if (a[i] > a[bestA]) bestA = i;
      if (b[i] > b[bestB]) bestB = i;
    }
    if (bestA === bestB) agreeing++;
  }
  return { tokens, largest, mean: sum / a.length, agreement: agreeing / tokens };
}
