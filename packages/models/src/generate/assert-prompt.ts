import { assertArgument, optionRule, shownValue } from '@qdylora/contract';

export const someIds = optionRule(
  'an array of ids',
  (value) => Array.isArray(value) && value.every((id) => Number.isSafeInteger(id)),
);
/** @throws QdyloraError BAD_ARGUMENT unless the prompt has ids of the vocabulary, at least one */
export function assertPrompt(
  where: string,
  prompt: unknown,
  vocabularySize: number,
): asserts prompt is ArrayLike<number> {
  assertArgument(
    Array.isArray(prompt) || ArrayBuffer.isView(prompt),
    where,
    `The prompt must be an array of token ids (got ${shownValue(prompt)})`,
    typeof prompt === 'string' ? 'Give tokenizer.encode(text).' : undefined,
  );
  const ids = prompt as ArrayLike<unknown>;
  assertArgument(ids.length > 0, where, 'The prompt must have at least one token');
  for (let i = 0; i < ids.length; i++)
    if (!isId(ids[i], vocabularySize))
      assertArgument(
        false,
        where,
        `The ids of the prompt must be whole numbers from 0 to ${vocabularySize - 1} ` +
          `(got ${shownValue(ids[i])} at ${i})`,
        'Encode it with the tokenizer of this model.',
      );
}

const isId = (id: unknown, vocabularySize: number): boolean =>
  Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < vocabularySize;
