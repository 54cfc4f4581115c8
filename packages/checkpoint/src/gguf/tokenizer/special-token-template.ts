import type { GgufVocabulary } from './vocabulary.ts';

/**
 * The post-processor that adds the begin token in front of a text if `addsBos`, and the end token behind it
 * if `addsEos`.
 */
export function specialTokenTemplate(
  { special, vocab }: Pick<GgufVocabulary, 'special' | 'vocab'>,
  addsBos: boolean,
  addsEos = false,
): Record<string, unknown> {
  const bos = addsBos ? special('tokenizer.ggml.bos_token_id') : null;
  const eos = addsEos ? special('tokenizer.ggml.eos_token_id') : null;
  const token = (id: string | null, type_id: number): unknown[] =>
    id === null ? [] : [{ SpecialToken: { id, type_id } }];
  const sequence = (id: 'A' | 'B', type_id: number): unknown[] => [
    ...token(bos, type_id),
    { Sequence: { id, type_id } },
    ...token(eos, type_id),
  ];
  return {
    type: 'TemplateProcessing',
    single: sequence('A', 0),
    pair: [...sequence('A', 0), ...sequence('B', 1)],
    special_tokens: Object.fromEntries(
      [bos, eos].filter((id) => id !== null).map((id) => [id, { id, ids: [vocab[id]], tokens: [id] }]),
    ),
  };
}
