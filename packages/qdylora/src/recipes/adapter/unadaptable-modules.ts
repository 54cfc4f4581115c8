import { familyOf } from '@qdylora/models';

/** transformers 5's name for the head of every model, whatever its files call it. */
const HEAD = 'lm_head';

/**
 * The matrices of a model that PEFT can adapt, and qdylora cannot: name → what it is. A head has two names
 * where files and transformers differ (GPT-NeoX).
 */
export function unadaptableModules(modelType: string, where: string): ReadonlyMap<string, string> {
  const { embedding, positions, head } = familyOf(modelType, where).names;
  return new Map([
    [HEAD, 'the head'],
    [head, 'the head'],
    [embedding, 'the embedding'],
    ...(positions ? [[positions, 'the embedding of positions'] as const] : []),
  ]);
}
