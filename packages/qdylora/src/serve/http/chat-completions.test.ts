import { expect, it } from 'vitest';
import type { ServedModel } from '../served-models.ts';
import { beginChatCompletion } from './chat-completions.ts';

/** A model whose prompts are written without a chat template. */
const plain = {
  adapter: {
    name: 'smol',
    style: {
      usesTemplate: false,
      name: 'as it is',
      encode: () => {
        throw new Error('was answered');
      },
    },
  },
} as unknown as ServedModel;

const begin = (role: string): unknown =>
  beginChatCompletion(
    { models: { find: () => plain } } as never,
    { model: 'smol', messages: [{ role, content: 'hi' }] } as never,
    {} as never,
  );

it.each(['system', 'developer', 'assistant', 'tool'])(
  'a message of the role %s is not answered as that of a user by a model without a chat template',
  (role) => {
    expect(() => begin(role)).toThrow(
      `has no chat template, so a request must have one message, of the role user (got ${role})`,
    );
    expect(() => begin('user')).toThrow('was answered');
  },
);
