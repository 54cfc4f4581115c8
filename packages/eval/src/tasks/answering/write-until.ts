import { QdyloraError } from '@qdylora/contract';
import type { Tokenizer } from '@qdylora/data';
import { encodeText } from './token-pairs.ts';
import type { GenerationSettings } from './generation-settings.ts';
import type { TokenModel } from './token-model.ts';

/** Tokens before a stop text that are decoded with it: a model may write it with other tokens. */
const LOOK_BACK = 2;

/** A prompt as the model reads it. */
export interface CutPrompt {
  readonly ids: readonly number[];
  /** Tokens that were cut from the left. */
  readonly cutTokens: number;
}

/**
 * The tokens of a prompt, cut from the left to leave room for the answer.
 *
 * @throws QdyloraError BAD_CONFIG where the answer alone fills the model
 */
export function cutPrompt(
  { tokenizer, maxLength }: Pick<TokenModel, 'tokenizer' | 'maxLength'>,
  prompt: string,
  maxNewTokens: number,
): CutPrompt {
  const room = maxLength - maxNewTokens;
  if (room <= 0)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'tasks',
      problem: `An answer of ${maxNewTokens} tokens leaves no room in the ${maxLength} that the model reads`,
      nextStep: 'Set a smaller max_gen_toks in the task, or choose a model that reads more.',
    });
  const ids = encodeText(tokenizer, prompt);
  return { ids: ids.slice(-room), cutTokens: Math.max(0, ids.length - room) };
}

/**
 * The text that the model writes after a prompt, up to a stop text, the end token or the greatest length.
 *
 * A stop text is looked for in the last tokens as soon as they are written; then the text is cut at the first
 * occurrence of each one.
 *
 * @param beforeToken awaited before each further token; throws to end the work
 */
export async function writeUntil(
  model: TokenModel,
  prompt: readonly number[],
  { stops, maxNewTokens }: GenerationSettings,
  beforeToken: () => Promise<void>,
): Promise<string> {
  const { tokenizer } = model;
  const ends = endTexts(tokenizer, stops);
  const ids: number[] = [];
  const isStopped = (): boolean =>
    ends.some(({ text, tokens }) => tokenizer.decode(ids.slice(-tokens)).includes(text));
  for await (const id of model.generate(prompt, maxNewTokens)) {
    ids.push(id);
    if (isStopped()) break;
    await beforeToken();
  }
  const text = tokenizer.decode(ids, { skipSpecialTokens: true });
  return ends.reduce((rest, end) => (end.text === '' ? rest : rest.split(end.text, 1)[0]), text);
}

/** The stop texts and the end token, with the number of tokens in which each is looked for. */
function endTexts(
  tokenizer: Tokenizer,
  stops: readonly string[],
): readonly { readonly text: string; readonly tokens: number }[] {
  const end = tokenizer.eosId === null ? [] : [tokenizer.decode([tokenizer.eosId])];
  return [...new Set([...stops, ...end])].map((text) => ({
    text,
    tokens: tokenizer.encode(text, { addSpecialTokens: false }).length + LOOK_BACK,
  }));
}
