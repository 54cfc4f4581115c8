import { SequenceDecoder, SequenceNormalizer, SequencePreTokenizer } from '@huggingface/tokenizers';

/** A normalizer, pre-tokenizer or decoder of the library, and all parts inside it. */
export function partsOf<T extends object>(root: T | null): T[] {
  if (root === null) return [];
  const inside =
    root instanceof SequenceNormalizer
      ? root.normalizers
      : root instanceof SequencePreTokenizer
        ? root.tokenizers
        : root instanceof SequenceDecoder
          ? root.decoders
          : [];
  return [root, ...(inside as (T | null)[]).flatMap((part) => partsOf(part))];
}
