import type { GgufVocabulary } from './vocabulary.ts';

/** The post-processor that adds the begin token in front of a text if `addsBos`, and nothing otherwise. */
export function bosTemplate(
  { special, vocab }: Pick<GgufVocabulary, 'special' | 'vocab'>,
  addsBos: boolean,
): Record<string, unknown> {
  const bos = addsBos ? special('tokenizer.ggml.bos_token_id') : null;
  const sequence = (id: 'A' | 'B', type_id: number): unknown[] => [
    ...(bos === null ? [] : [{ SpecialToken: { id: bos, type_id } }]),
    { Sequence: { id, type_id } },
  ];
  return {
    type: 'TemplateProcessing',
    single: sequence('A', 0),
    pair: [...sequence('A', 0), ...sequence('B', 1)],
    special_tokens: bos === null ? {} : { [bos]: { id: bos, ids: [vocab[bos]], tokens: [bos] } },
  };
}
