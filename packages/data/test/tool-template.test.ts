import { expect, it } from 'vitest';
import { loadTokenizer } from '../src/index.ts';
import { labelConversation } from '../src/labels/label-conversation.ts';
import { tokenizerJson } from './fixtures.ts';

const turns = '{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}';
const messages = [
  { role: 'user', content: 'hi' },
  { role: 'assistant', content: 'yes' },
];

it('a conversation with tools goes through the template for tools, and any other through the default', () => {
  const tokenizer = loadTokenizer({
    tokenizerJson: tokenizerJson('smollm2'),
    tokenizerConfig: null,
    chatTemplate: `plain${turns}`,
    toolTemplate: `TOOLS${turns}`,
  });
  const template = tokenizer.chatTemplate!;
  for (const completionOnlyLoss of [true, false]) {
    const textOf = (tools?: readonly unknown[]): string =>
      tokenizer.decode(
        labelConversation({ messages, tools }, { tokenizer, template, completionOnlyLoss, where: 'here' })
          .ids,
      );
    expect([textOf(), textOf([{ name: 'f' }]), textOf([])]).toEqual(
      ['plain', 'TOOLS', 'TOOLS'].map((first) => `${first}[user]hi;[assistant]yes;`),
    );
  }
});
