import { QdyloraError } from '@qdylora/contract';
import {
  alpacaPrompt,
  encodeSequenceStart,
  questionPrompt,
  type ChatMessage,
  type Tokenizer,
} from '@qdylora/data';
import type { TrainedPrompt } from '../adapter/adapter-sidecar.ts';

/** How a prompt becomes tokens. */
export interface PromptStyle {
  /** For a person: `chat template`, `alpaca`, `question_answer`, `as it is`. */
  readonly name: string;
  /** True if all messages of a conversation are shown to the model; else only the last one. */
  readonly usesTemplate: boolean;
  /** True if the answer continues the prompt's text; false if it is a text by itself, as in a chat. */
  readonly isContinued: boolean;
  /** Token ids of the messages, up to where the answer begins. */
  encode(messages: readonly ChatMessage[]): number[];
}

/** Formats whose rows always go through the chat template. */
const CONVERSATIONS = ['messages', 'sharegpt'];
/** Formats whose rows are one text. */
const TEXTS = ['text', 'plain_text'];

/**
 * The style of the prompts that an adapter was trained with. Without an adapter: the chat template of the
 * model, if it has one.
 *
 * @param trained null: no adapter, or one that does not store its style
 * @param raw true: the prompt as it is, whatever was trained
 * @throws QdyloraError BAD_CONFIG where a template is needed and the model has none
 */
export function promptStyle(tokenizer: Tokenizer, trained: TrainedPrompt | null, raw: boolean): PromptStyle {
  if (raw) return textStyle(tokenizer);
  const format = trained?.dataset_format ?? '';
  const isConversation = trained?.apply_chat_template === true || CONVERSATIONS.includes(format);
  if (!isConversation) {
    if (format === 'alpaca')
      return promptOnly(format, (text) => encodeSequenceStart(tokenizer, alpacaPrompt(text, '')));
    if (format === 'question_answer')
      return promptOnly(format, (text) => tokenizer.encode(questionPrompt(text)));
    if (format === 'prompt_completion')
      return promptOnly('as it is', (text) => encodeSequenceStart(tokenizer, text));
    if (TEXTS.includes(format)) return textStyle(tokenizer);
  }
  const template = tokenizer.chatTemplate;
  if (template)
    return {
      name: 'chat template',
      usesTemplate: true,
      isContinued: false,
      encode: (messages) => tokenizer.encode(template.render(messages, { addGenerationPrompt: true })),
    };
  if (!isConversation) return textStyle(tokenizer);
  throw new QdyloraError('BAD_CONFIG', {
    where: 'generate',
    problem: 'The adapter was trained with a chat template, and this model has none',
    nextStep: 'Name the model that it was trained on, or give the prompt as it is: --raw.',
  });
}

const lastText = (messages: readonly ChatMessage[]): string => messages.at(-1)!.content!;

/** A prompt that the answer continues. */
const promptOnly = (name: string, encode: (text: string) => number[]): PromptStyle => ({
  name,
  usesTemplate: false,
  isContinued: true,
  encode: (messages) => encode(lastText(messages)),
});

const textStyle = (tokenizer: Tokenizer): PromptStyle =>
  promptOnly('as it is', (text) => encodeSequenceStart(tokenizer, text));
