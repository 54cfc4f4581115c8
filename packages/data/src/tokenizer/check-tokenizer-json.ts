import { QdyloraError } from '@qdylora/contract';
import { kindOf } from '../bad-data.ts';

/**
 * Upper limit of ids and of the number of merges, far above any vocabulary (Gemma has 262,144 tokens). A
 * larger id would only make a sparse array.
 */
export const MAX_TOKEN_ID = 2 ** 24;

/**
 * Upper limit of added tokens, which are searched for at every position of a text before it is split. Gemma 3
 * has 6,415, none with more than 32 characters.
 */
const MAX_ADDED_TOKENS = 65_536;
const MAX_ADDED_LENGTH = 1024;

export interface TokenizerJson {
  readonly model: Readonly<Record<string, unknown>> & {
    readonly type?: string;
    readonly merges?: readonly (string | readonly string[])[];
  };
  readonly added_tokens: readonly {
    readonly id: number;
    readonly content: string;
    readonly special?: boolean;
  }[];
  readonly [key: string]: unknown;
}

/**
 * Checks a parsed tokenizer.json, and sets its optional parts to null.
 *
 * @throws QdyloraError UNSUPPORTED for a kind of tokenizer that would give other tokens here; BAD_FILE for
 * another shape, for invalid ids, or for merges of tokens that do not exist.
 */
export function checkTokenizerJson(json: unknown): TokenizerJson {
  if (!isRecord(json) || !isRecord(json.model))
    throw bad(
      isRecord(json)
        ? `\`model\` must be an object (got ${kindOf(json.model)})`
        : `The file must hold an object with a \`model\` (got ${kindOf(json)})`,
    );
  const added = json.added_tokens ?? [];
  if (!Array.isArray(added) || !added.every((token) => isRecord(token) && typeof token.content === 'string'))
    throw bad('`added_tokens` must be a list of tokens, each with a text as its `content`');
  assertAdded(added);
  assertKind(json.model, added);
  const { vocab } = json.model;
  if (isRecord(vocab)) assertVocabulary(vocab);
  if (json.model.type === 'BPE') assertMerges(json.model);
  return {
    normalizer: null,
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    ...json,
    added_tokens: added,
  } as unknown as TokenizerJson;
}

/** Model types with the same tokens as in the Rust library. Old files omit the type. */
const MODELS: readonly unknown[] = ['BPE', 'Unigram', 'WordPiece', undefined];

/** Refuses settings that the tokenizer library would silently ignore. */
function assertKind(
  { type, continuing_subword_prefix: prefix }: Readonly<Record<string, unknown>>,
  added: readonly Readonly<Record<string, unknown>>[],
): void {
  const refuse = (problem: string): never => {
    throw new QdyloraError('UNSUPPORTED', {
      where: 'tokenizer.json',
      problem,
      nextStep: 'Use a model with another tokenizer.',
    });
  };
  if (!MODELS.includes(type))
    refuse(
      `The type of its model must be one of ${MODELS.slice(0, -1).join(', ')} (got ` +
        `${JSON.stringify(type)?.slice(0, 200) ?? 'nothing'})`,
    );
  if (type === 'BPE' && typeof prefix === 'string' && prefix !== '')
    refuse(
      'BPE with a continuing_subword_prefix is not supported (got ' +
        `${JSON.stringify(prefix.slice(0, 200))})`,
    );
  const whole = added.find((token) => token.single_word === true);
  if (whole)
    refuse(
      'Added tokens with single_word are not supported (got ' +
        `${JSON.stringify((whole.content as string).slice(0, 200))})`,
    );
}

function assertAdded(added: readonly Readonly<Record<string, unknown>>[]): void {
  if (added.length > MAX_ADDED_TOKENS)
    throw bad(`There may be at most ${MAX_ADDED_TOKENS} added_tokens (got ${added.length})`);
  const contentOf = new Map<unknown, string>();
  for (const token of added) {
    const content = token.content as string;
    const other = contentOf.get(token.id);
    if (content === '' || content.length > MAX_ADDED_LENGTH)
      throw bad(
        `An added token must have 1 to ${MAX_ADDED_LENGTH} characters (got ${content.length} at the id ` +
          `${String(token.id)})`,
      );
    assertId(content, token.id);
    if (other !== undefined && other !== content)
      throw bad(
        `The id ${String(token.id)} must belong to one token (got ${JSON.stringify(other)} and ` +
          `${JSON.stringify(content)})`,
      );
    contentOf.set(token.id, content);
  }
}

function assertVocabulary(vocab: Readonly<Record<string, unknown>>): void {
  const tokens = Object.keys(vocab);
  const isTaken = new Set<unknown>();
  for (const token of tokens) {
    assertId(token, vocab[token]);
    if (isTaken.has(vocab[token]))
      throw bad(
        'Each id of the vocabulary must belong to one token (got ' +
          `${String(vocab[token])} for ${JSON.stringify(token.slice(0, 200))} and for ` +
          `${JSON.stringify(tokens.find((other) => vocab[other] === vocab[token])?.slice(0, 200))})`,
      );
    isTaken.add(vocab[token]);
  }
}

/** Both sides of a merge, which is written as a pair or as one string with a space. */
export const mergePair = (merge: string | readonly string[]): readonly string[] =>
  typeof merge === 'string' ? merge.split(' ', 2) : merge;

function assertMerges(model: Record<string, unknown>): void {
  const { vocab, merges, continuing_subword_prefix: prefix } = model;
  if (!isRecord(vocab) || !Array.isArray(merges))
    throw bad(
      `BPE needs an object \`vocab\` and a list \`merges\` (got ${kindOf(vocab)} and ${kindOf(merges)})`,
    );
  if (merges.length > MAX_TOKEN_ID)
    throw bad(`There may be at most ${MAX_TOKEN_ID} merges (got ${merges.length})`);
  if (prefix !== undefined && prefix !== null && typeof prefix !== 'string')
    throw bad(`\`continuing_subword_prefix\` must be a text (got ${kindOf(prefix)})`);
  for (const merge of merges as readonly unknown[]) {
    if (!isMerge(merge))
      throw bad(`A merge must join two tokens (got ${JSON.stringify(merge)?.slice(0, 200) ?? 'nothing'})`);
    const [left, right] = mergePair(merge);
    const joined = `${left}${prefix && right?.startsWith(prefix) ? right.slice(prefix.length) : right}`;
    for (const token of [left, right, joined]) {
      if (token === undefined || !Object.hasOwn(vocab, token))
        throw bad(
          `The vocabulary has no ${JSON.stringify(token)}, which the merge ${JSON.stringify(merge)} needs`,
        );
    }
  }
}

const isMerge = (merge: unknown): merge is string | readonly string[] =>
  typeof merge === 'string' ||
  (Array.isArray(merge) && merge.length === 2 && merge.every((side) => typeof side === 'string'));

function assertId(token: string, id: unknown): void {
  if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= MAX_TOKEN_ID)
    throw bad(
      `The id of ${JSON.stringify(token)} must be a whole number from 0 to ${MAX_TOKEN_ID - 1} (got ` +
        `${String(id)})`,
    );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const bad = (problem: string): QdyloraError =>
  new QdyloraError('BAD_FILE', {
    where: 'tokenizer.json',
    problem,
    nextStep:
      'Download the file again; it must be the `tokenizer.json` of the Hugging Face tokenizers library.',
  });
