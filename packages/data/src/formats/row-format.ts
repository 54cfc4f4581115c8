import { QdyloraError } from '@qdylora/contract';
import { badData, kindOf } from '../bad-data.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { LabelledTokens } from '../labels/mask-prompt.ts';
import type { TemplateNotes } from './note-template.ts';

/** A row, with its place for errors: `file:line`. */
export interface Row {
  readonly value: Readonly<Record<string, unknown>>;
  readonly where: string;
  readonly source?: { readonly file: string; readonly line: number };
  /** The value of a key as `parseExactJson` reads it, for values that are shown as written. */
  exact(key: string): unknown;
}

export interface RowSettings {
  readonly tokenizer: Tokenizer | null;
  /** Loss on answers only. */
  readonly completionOnlyLoss: boolean;
  /** Formats prompts and answers with the tokenizer's chat template. */
  readonly applyChatTemplate: boolean;
  readonly templateNotes: TemplateNotes;
}

/** A row format. */
export interface RowFormat {
  readonly name: string;
  /** Required keys. A first row that has them selects this format, and every row must have them. */
  readonly required: readonly string[];
  /** Optional keys. Other keys are ignored. */
  readonly optional: readonly string[];
  /** Whether a row's own variables of the chat template (`readVariables`) change its tokens. */
  readsVariables?(row: Row, settings: RowSettings): boolean;
  /** The keys of masks that decide which tokens of a row count. */
  maskKeys?(settings: RowSettings): readonly string[];
  label(row: Row, settings: RowSettings): LabelledTokens;
}

/** The text of a key. @throws QdyloraError BAD_DATA if it is missing or not a string. */
export function textOf(row: Row, key: string): string {
  const value = row.value[key];
  if (typeof value === 'string') return value;
  throw badData(
    row.where,
    `${JSON.stringify(key)} must be a string (got ${kindOf(value)})`,
    'Correct or delete this line, or set dataset_format if its shape is another one.',
  );
}

/**
 * Requires a tokenizer. @throws QdyloraError BAD_CONFIG without one; `format` names the rows that need it.
 */
export function assertTokenizer(tokenizer: Tokenizer | null, format: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'data',
    problem: `Rows of the format ${format} need a tokenizer, but the model has none.`,
    nextStep: 'Name a model whose folder has tokenizer.json, or use rows of input_ids.',
  });
}

/** The chat template of a tokenizer. @throws QdyloraError BAD_CONFIG without one. */
export function assertTemplate(tokenizer: Tokenizer): NonNullable<Tokenizer['chatTemplate']> {
  if (tokenizer.chatTemplate) return tokenizer.chatTemplate;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'data',
    problem: 'Conversations need a chat template, but the tokenizer has none.',
    nextStep:
      `Name one: chat_template: ${fittingTemplate(tokenizer)}. Or use an instruction-tuned model, add ` +
      'chat_template.jinja to its folder (several named templates without a default are none), or write ' +
      'rows of prompt and completion.',
  });
}

/**
 * `chatml` if the tokenizer has its end token; else `zephyr`, which ends answers with the tokenizer's own.
 */
const fittingTemplate = ({ encode }: Tokenizer): 'chatml' | 'zephyr' =>
  encode('<|im_end|>').length === 1 ? 'chatml' : 'zephyr';
