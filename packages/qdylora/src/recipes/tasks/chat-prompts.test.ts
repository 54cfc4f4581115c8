import { createChatTemplate, type ChatMessage } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { chatPrompts } from './chat-prompts.ts';

/** As Gemma's: no messages of the system, and questions that come first. */
const TEMPLATE = `{%- set first = messages[0].role -%}
{%- if first == 'system' %}{{ raise_exception('System role not supported') }}{% endif -%}
{%- if first != 'user' %}{{ raise_exception('The user begins') }}{% endif -%}
{%- for message in messages %}<{{ message.role }}>{{ message.content }}{% endfor -%}
{%- if add_generation_prompt %}<model>{% endif -%}`;

const system: ChatMessage = { role: 'system', content: 'Questions about law.' };
const user: ChatMessage = { role: 'user', content: 'Q' };
const opening: ChatMessage = { role: 'assistant', content: 'It is' };

describe('prompts by a chat template', () => {
  it('leave out what the template refuses of the system, and say so once', () => {
    const told: string[] = [];
    const prompt = chatPrompts({ chatTemplate: createChatTemplate(TEMPLATE) }, (text) => told.push(text));
    expect(prompt([user], true)).toBe('<user>Q<model>');
    expect(told).toEqual([]);
    expect(prompt([system, user], true)).toBe('<user>Q<model>');
    expect(prompt([system, user, opening], false)).toBe('<user>Q<assistant>It is');
    expect(told).toEqual([expect.stringContaining('refuses a system message')]);
  });

  it('keep a system message that the template takes', () => {
    const chatTemplate = createChatTemplate('{% for message in messages %}{{ message.content }}{% endfor %}');
    const prompt = chatPrompts({ chatTemplate }, () => expect.unreachable());
    expect(prompt([system, user], true)).toBe('Questions about law.Q');
  });

  it('fail where the rest is refused too, or the tokenizer has no template', () => {
    const prompt = chatPrompts({ chatTemplate: createChatTemplate(TEMPLATE) }, () => expect.unreachable());
    expect(() => prompt([system, opening], true)).toThrow('The user begins');
    expect(() => prompt([opening], true)).toThrow('The user begins');
    expect(() => chatPrompts({ chatTemplate: null })).toThrow('The tokenizer has no chat template.');
  });
});
