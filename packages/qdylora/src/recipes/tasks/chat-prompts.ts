import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage, Tokenizer } from '@qdylora/data';
import type { PromptOptions } from '@qdylora/eval';
import { tellOnce } from '../tell-once.ts';
import type { Warn } from '../hooks.ts';

/**
 * Writes the messages of a prompt by the chat template of the model. A template that refuses a system
 * message (Gemma, Mistral) gets the others alone, as from lm-evaluation-harness; this is told once.
 *
 * @throws QdyloraError BAD_CONFIG for a tokenizer without a chat template
 */
export function chatPrompts(
  { chatTemplate }: Pick<Tokenizer, 'chatTemplate'>,
  tell: Warn = () => {},
): NonNullable<PromptOptions['chatTemplate']> {
  if (!chatTemplate)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'apply_chat_template',
      problem: 'The tokenizer has no chat template.',
      nextStep: 'Name one with --chat-template, or leave --apply-chat-template out.',
    });
  // Without a generation prompt the last message is the beginning of the answer (`gen_prefix`).
  const render = (messages: readonly ChatMessage[], addGenerationPrompt: boolean): string =>
    chatTemplate.render(messages, { addGenerationPrompt, continueFinalMessage: !addGenerationPrompt });
  const tellFirst = tellOnce(tell);
  return (messages, addGenerationPrompt) => {
    const withoutSystem = messages.filter(({ role }) => role !== 'system');
    try {
      return render(messages, addGenerationPrompt);
    } catch (error) {
      const isRefusal = QdyloraError.isInstance(error) && error.code === 'BAD_DATA';
      if (!isRefusal || withoutSystem.length === messages.length) throw error;
    }
    const prompt = render(withoutSystem, addGenerationPrompt);
    tellFirst(NO_SYSTEM);
    return prompt;
  };
}

const NO_SYSTEM =
  'The chat template refuses a system message, so the descriptions of tasks are left out, as by ' +
  'lm-evaluation-harness.';
