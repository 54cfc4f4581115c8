import { describe, expect, it } from 'vitest';
import {
  alpacaPrompt,
  BUILT_IN_TEMPLATE_NAMES,
  BUILT_IN_TEMPLATES,
  createChatTemplate,
  loadTokenizer,
  NOT_COUNTED,
  type BuiltInTemplate,
} from '../src/index.ts';
import { labelConversation } from '../src/labels/label-conversation.ts';
import { tokenizerJson } from './fixtures.ts';

const MESSAGES = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: 'Two plus two?' },
  { role: 'assistant', content: 'Four.' },
  { role: 'user', content: 'Sure?' },
  { role: 'assistant', content: 'Yes.' },
];

/**
 * What the families' own templates write for `MESSAGES`. Python's Jinja 3.1.6, with the settings of
 * transformers, renders our texts to the same.
 */
const TEXTS: Readonly<Record<BuiltInTemplate, string>> = {
  chatml:
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nTwo plus two?<|im_end|>\n' +
    '<|im_start|>assistant\nFour.<|im_end|>\n<|im_start|>user\nSure?<|im_end|>\n' +
    '<|im_start|>assistant\nYes.<|im_end|>\n',
  llama3:
    '<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>' +
    '<|start_header_id|>user<|end_header_id|>\n\nTwo plus two?<|eot_id|>' +
    '<|start_header_id|>assistant<|end_header_id|>\n\nFour.<|eot_id|>' +
    '<|start_header_id|>user<|end_header_id|>\n\nSure?<|eot_id|>' +
    '<|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|>',
  llama2:
    '<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nTwo plus two? [/INST] Four. </s>' +
    '<s>[INST] Sure? [/INST] Yes. </s>',
  mistral: '<s>[INST] Be brief.\n\nTwo plus two?[/INST] Four.</s>[INST] Sure?[/INST] Yes.</s>',
  gemma:
    '<s><start_of_turn>user\nBe brief.\n\nTwo plus two?<end_of_turn>\n' +
    '<start_of_turn>model\nFour.<end_of_turn>\n<start_of_turn>user\nSure?<end_of_turn>\n' +
    '<start_of_turn>model\nYes.<end_of_turn>\n',
  zephyr:
    '<|system|>\nBe brief.</s>\n<|user|>\nTwo plus two?</s>\n<|assistant|>\nFour.</s>\n' +
    '<|user|>\nSure?</s>\n<|assistant|>\nYes.</s>\n',
  alpaca:
    '<s>Be brief.\n\n### Instruction:\nTwo plus two?\n\n### Response:\nFour.</s>\n\n' +
    '### Instruction:\nSure?\n\n### Response:\nYes.</s>\n\n',
};

/** What closes an answer. */
const CLOSINGS: Readonly<Record<BuiltInTemplate, string>> = {
  chatml: '<|im_end|>\n',
  llama3: '<|eot_id|>',
  llama2: ' </s>',
  mistral: '</s>',
  gemma: '<end_of_turn>\n',
  zephyr: '</s>\n',
  alpaca: '</s>\n\n',
};

const variables = { bos_token: '<s>', eos_token: '</s>' };

describe.each(BUILT_IN_TEMPLATE_NAMES)('the built-in template %s', (name) => {
  const template = createChatTemplate(BUILT_IN_TEMPLATES[name], { variables });

  it('writes the well-known text', () => {
    expect(template.render(MESSAGES)).toBe(TEXTS[name]);
  });

  it('writes a prompt with which the text of the whole conversation begins', () => {
    for (const messages of [MESSAGES, MESSAGES.slice(1)])
      for (const answer of [messages.length - 3, messages.length - 1]) {
        const prompt = template.render(messages.slice(0, answer), { addGenerationPrompt: true });
        expect(template.render(messages).startsWith(prompt)).toBe(true);
      }
  });

  it('lets the loss count each answer and what closes it, and nothing else', () => {
    const tokenizer = loadTokenizer({
      tokenizerJson: tokenizerJson('tiny-llama2-style'),
      tokenizerConfig: variables,
      chatTemplate: BUILT_IN_TEMPLATES[name],
    });
    const options = { tokenizer, template: tokenizer.chatTemplate!, completionOnlyLoss: true, where: 'here' };
    const { ids, labels } = labelConversation({ messages: MESSAGES }, options);
    const counted = tokenizer.decode(Array.from(ids).filter((_, i) => labels[i] !== NOT_COUNTED));
    const closing = CLOSINGS[name];
    expect(counted.replaceAll(' ', '')).toBe(`Four.${closing}Yes.${closing}`.replaceAll(' ', ''));
  });
});

it('alpaca writes one question as rows of the format alpaca do', () => {
  const template = createChatTemplate(BUILT_IN_TEMPLATES.alpaca, { variables });
  expect(template.render([{ role: 'user', content: 'Add.' }], { addGenerationPrompt: true })).toBe(
    `<s>${alpacaPrompt('Add.', '')}`,
  );
});

it.each(['llama2', 'mistral', 'gemma', 'alpaca'] as const)(
  '%s refuses two questions in a row, which it cannot write',
  (name) => {
    const template = createChatTemplate(BUILT_IN_TEMPLATES[name], { variables });
    expect(() => template.render([MESSAGES[1], MESSAGES[1]])).toThrow(
      /Conversation roles must alternate user\/assistant/,
    );
  },
);
