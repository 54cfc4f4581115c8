import { readFileSync, statSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { BUILT_IN_TEMPLATES, type ChatTemplate, type Tokenizer } from '@qdylora/data';
import { isBuiltInTemplate } from '../../config/keys/data-keys.ts';
import type { StoredTemplate } from '../adapter/adapter-sidecar.ts';
import { storedSidecar } from '../adapter/read-adapter.ts';

/** The largest templates that models have are a few dozen KiB. */
const MOST_TEMPLATE_BYTES = 2 ** 20;

/** The settings that decide about a chat template. */
export interface TemplateConfig {
  /** The key `chat_template`: a name or the path of a Jinja file. */
  readonly chatTemplate?: string | null;
  /** Folder of an adapter, which may hold the template that it was trained with. */
  readonly adapter: string | null;
}

/**
 * The chat template that replaces that of the model: named by the key, otherwise stored with the adapter.
 * Null: the model keeps its own.
 *
 * @throws QdyloraError MISSING_FILE for a file that cannot be read; BAD_CONFIG for one of more than 1 MiB
 */
export function chosenTemplate({ chatTemplate = null, adapter }: TemplateConfig): StoredTemplate | null {
  if (chatTemplate === null)
    return (adapter === null ? null : storedSidecar(adapter)?.prompt?.chat_template) ?? null;
  if (isBuiltInTemplate(chatTemplate))
    return { name: chatTemplate, source: BUILT_IN_TEMPLATES[chatTemplate] };
  return { name: null, source: readTemplate(chatTemplate) };
}

/** @throws QdyloraError MISSING_FILE, BAD_CONFIG */
function readTemplate(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MOST_TEMPLATE_BYTES) throw tooLarge(path, size);
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (QdyloraError.isInstance(cause)) throw cause;
    throw new QdyloraError('MISSING_FILE', {
      where: path,
      problem: `The chat template cannot be read: ${(cause as Error).message}`,
      nextStep: 'Check the path.',
      cause,
    });
  }
}

const tooLarge = (path: string, size: number): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: path,
    problem: `A chat template has at most ${MOST_TEMPLATE_BYTES} bytes (got ${size}).`,
    nextStep: 'Name a Jinja file.',
  });

/** A tokenizer whose chat template is watched. */
export interface WatchedTokenizer {
  readonly tokenizer: Tokenizer | null;
  /** @throws QdyloraError BAD_CONFIG where `chat_template` is set and no row went through the template */
  assertTemplateUsed(format: string): void;
}

/** Watches whether rows go through the chat template that the key `chat_template` names. */
export function watchTemplate(tokenizer: Tokenizer | null, chatTemplate: string | null): WatchedTokenizer {
  if (!tokenizer?.chatTemplate || chatTemplate === null) return { tokenizer, assertTemplateUsed() {} };
  const template = tokenizer.chatTemplate;
  let isUsed = false;
  const watched: ChatTemplate = {
    ...template,
    render(messages, options) {
      isUsed = true;
      return template.render(messages, options);
    },
    renderMarked(messages, options) {
      isUsed = true;
      return template.renderMarked(messages, options);
    },
  };
  return {
    tokenizer: { ...tokenizer, chatTemplate: watched },
    assertTemplateUsed(format) {
      if (isUsed) return;
      throw new QdyloraError('BAD_CONFIG', {
        where: 'chat_template',
        problem:
          `\`chat_template\` is ${chatTemplate}, but no row goes through a chat template: the format of ` +
          `the rows is ${format}.`,
        nextStep:
          'Use rows of messages, set apply_chat_template: true for rows of prompts and answers, or leave ' +
          'chat_template out.',
      });
    },
  };
}

/**
 * Token ids that the chat template writes after an answer (`<|im_end|>`), without white space around them,
 * and without the end token if it follows another one at the end of a conversation (Phi-3). Empty where it
 * writes nothing, and for a tokenizer without a template.
 */
export function closingIds({ chatTemplate, encode }: Tokenizer): number[] {
  if (!chatTemplate) return [];
  const answer = 'answer';
  const messages = [
    { role: 'user', content: 'question' },
    { role: 'assistant', content: answer },
  ];
  try {
    const text = chatTemplate.render(messages);
    const closing = text.slice(text.lastIndexOf(answer) + answer.length).trim();
    const { endToken = '' } = chatTemplate;
    const turnEnd = closing.endsWith(endToken)
      ? closing.slice(0, closing.length - endToken.length).trim()
      : '';
    return encode(turnEnd === '' ? closing : turnEnd);
  } catch (error) {
    if (QdyloraError.isInstance(error)) return []; // it refuses this conversation, which nobody asked for
    throw error;
  }
}

/** A notice where a chosen template ends answers with more than one token; else null. */
export function closingNote(tokenizer: Tokenizer | null, template: StoredTemplate | null): string | null {
  if (!tokenizer || !template) return null;
  const ids = closingIds(tokenizer);
  if (ids.length < 2) return null;
  return (
    `The tokenizer has no token ${tokenizer.decode(ids)}, with which the chat template ends an answer: ` +
    `it is split into ${ids.length} tokens, at which generation does not stop. The templates llama2, ` +
    `mistral, zephyr and alpaca end answers with the end token of the tokenizer.`
  );
}
