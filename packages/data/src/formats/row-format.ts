import { QdyloraError } from '@qdylora/contract';
import { badData, kindOf } from '../bad-data.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { LabelledTokens } from '../mask-prompt.ts';

/** A row of a JSON Lines file, with its place for errors: `file:line`. */
export interface Row {
  readonly value: Readonly<Record<string, unknown>>;
  readonly where: string;
  readonly source?: { readonly file: string; readonly line: number };
  /** A key's value as `parseExactJson` reads it, for what is shown as it is written. */
  exact(key: string): unknown;
}

export interface RowSettings {
  readonly tokenizer: Tokenizer | null;
  /** Loss on answers only. */
  readonly completionOnlyLoss: boolean;
  /** Puts prompts and answers through the tokenizer's chat template. */
  readonly applyChatTemplate: boolean;
  /** Gets the names of what rows have and the chat template never writes. */
  readonly unshown: Set<string>;
}

/** One shape of rows. */
export interface RowFormat {
  readonly name: string;
  /** Keys whose presence in the first row decides for this format, and which every row must have. */
  readonly required: readonly string[];
  /** Keys that are read where present; others are passed over. */
  readonly optional: readonly string[];
  /** Whether rows tell prompts from answers: else every token is an answer. */
  readonly hasPrompts: boolean;
  label(row: Row, settings: RowSettings): LabelledTokens;
}

/**
 * A key's text.
 *
 * @throws QdyloraError BAD_DATA where it is missing or not a string.
 */
export function textOf(row: Row, key: string): string {
  const value = row.value[key];
  if (typeof value === 'string') return value;
  throw badData(
    row.where,
    `${JSON.stringify(key)} must be a string (got ${kindOf(value)})`,
    'Correct or delete this line, or set dataset_format if its shape is another one.',
  );
}

/** @throws QdyloraError BAD_CONFIG where a format needs a tokenizer and there is none. */
export function assertTokenizer(tokenizer: Tokenizer | null, format: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'data',
    problem: `Rows of the format ${format} need a tokenizer, but the model has none.`,
    nextStep: 'Name a model whose folder has tokenizer.json, or use rows of input_ids.',
  });
}

/** @throws QdyloraError BAD_CONFIG where the tokenizer has no chat template. */
export function assertTemplate(tokenizer: Tokenizer): NonNullable<Tokenizer['chatTemplate']> {
  if (tokenizer.chatTemplate) return tokenizer.chatTemplate;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'data',
    problem: 'Conversations need a chat template, but the tokenizer has none.',
    nextStep:
      'Use an instruction-tuned model, add chat_template.jinja to its folder (several named templates ' +
      'without a default are none), or write rows of prompt and completion.',
  });
}
