import { describe, expect, it } from 'vitest';
import { answerCharacters, labelConversation, NOT_COUNTED } from '../src/index.ts';
import { fixtureTokenizer, readExpected, tokenizerFixtures } from './fixtures.ts';

const chats = tokenizerFixtures().flatMap(([name, folder]) =>
  Object.keys(readExpected(name, folder).chats).map((chat) => [name, chat, folder] as const),
);

/** Offsets in UTF-16 units as offsets in code points, which the golden files count. */
const codePoints = (text: string, end: number): number => [...text.slice(0, end)].length;

describe.each(chats)('%s, template %s', (name, chat, folder) => {
  const tokenizer = fixtureTokenizer(name, chat, folder);
  const template = tokenizer.chatTemplate!;
  const { conversations } = readExpected(name, folder).chats[chat];
  const accepted = conversations.filter(({ error }) => !error);

  it('renders and tokenizes all ten conversations as transformers does', () => {
    expect(conversations.length).toBe(10);
    for (const { messages, ...want } of accepted) {
      const text = template.render(messages);
      const prompted = template.render(messages, { addGenerationPrompt: true });
      expect(text, want.name).toBe(want.rendered);
      expect(prompted, want.name).toBe(want.rendered_with_generation_prompt);
      expect(tokenizer.encode(text), want.name).toEqual(want.ids);
      expect(tokenizer.encode(prompted), want.name).toEqual(want.ids_with_generation_prompt);
    }
  });

  it('refuses with an error of its own what the template refuses', () => {
    for (const { messages, error } of conversations.filter((c) => c.error))
      expect(() => template.render(messages)).toThrow(new RegExp(`\\[chat template\\].*${error}`));
  });

  if (!template.marksAnswers)
    it('finds the characters that each assistant turn added', () => {
      for (const { messages, answers, name: title } of accepted) {
        const { text, spans } = answerCharacters(template, { messages }, 'row');
        expect(
          spans.map((span) => span.map((at) => codePoints(text, at))),
          title,
        ).toEqual(answers.map((answer) => answer.characters));
      }
    });

  it('counts the loss on exactly the tokens that hold a byte of an assistant turn', () => {
    for (const { messages, answers, assistant_mask: mask, ids: want, name: title } of accepted) {
      const { ids, labels } = labelConversation(
        { messages },
        { tokenizer, template, completionOnlyLoss: true, where: title },
      );
      const counted = want.map((_, t) =>
        mask ? mask[t] === 1 : answers.some(({ tokens }) => tokens && t >= tokens[0] && t < tokens[1]),
      );
      expect(ids, title).toEqual(want);
      expect(labels, title).toEqual(want.map((id, t) => (counted[t] ? id : NOT_COUNTED)));
    }
  });
});
