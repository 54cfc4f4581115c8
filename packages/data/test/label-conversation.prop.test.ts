import fc from 'fast-check';
import { QdyloraError } from '@qdylora/contract';
import { describe, expect, it } from 'vitest';
import { BUILT_IN_TEMPLATES, createChatTemplate, labelConversation, NOT_COUNTED } from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';

const SKIPS_EMPTY_ANSWERS =
  "{% for m in messages %}{% if m.role == 'user' or m.content %}<|im_start|>{{ m.role }}\n{{ m.content }}" +
  '<|im_end|>\n{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';

/** As Axolotl's template of Llama 4: `tool_calls`, even an empty list, take the place of the text. */
const PREFERS_CALLS =
  '{% for m in messages %}{% if m.tool_calls is defined %}{% for c in m.tool_calls %}{{ c }}{% endfor %}' +
  '{% else %}[{{ m.role }}]{{ m.content }};{% endif %}{% endfor %}' +
  '{% if add_generation_prompt %}[assistant]{% endif %}';

const TEMPLATES = {
  ...BUILT_IN_TEMPLATES,
  skipsEmptyAnswers: SKIPS_EMPTY_ANSWERS,
  prefersCalls: PREFERS_CALLS,
};

const words = fc
  .array(fc.constantFrom('the ', 'king', ' ', '\n', '😀', 'é', '.', '<|im_end|>'), { maxLength: 4 })
  .map((parts) => parts.join(''));
const turns = fc.array(fc.tuple(words, words, fc.boolean()), { minLength: 1, maxLength: 4 });

describe.each(['smollm2', 'tiny-llama2-style', 'tiny-unigram'])('with the tokenizer %s', (name) => {
  const tokenizer = fixtureTokenizer(name);

  it.each(Object.entries(TEMPLATES))(
    'the tokens of a row are those of its text, template %s',
    (_, source) => {
      const template = createChatTemplate(source, { variables: { bos_token: '<s>', eos_token: '</s>' } });
      fc.assert(
        fc.property(turns, fc.boolean(), (pairs, completionOnlyLoss) => {
          const messages = pairs.flatMap(([question, answer, hasCalls]) => [
            { role: 'user', content: question },
            { role: 'assistant', content: answer, ...(hasCalls && { tool_calls: [] }) },
          ]);
          const options = { tokenizer, template, completionOnlyLoss, where: 'row', untrained: [1] };
          const ids = tokenizer.encode(template.render(messages));
          const labelled = labelledOrNull(() => labelConversation({ messages }, options));
          fc.pre(labelled !== null);
          expect(labelled!.ids).toEqual(ids);
        }),
        { numRuns: 40, seed: 7 },
      );
    },
  );

  it('a turn of which the template writes nothing has no loss', () => {
    const template = createChatTemplate(SKIPS_EMPTY_ANSWERS);
    const messages = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: '' },
      { role: 'user', content: 'c' },
      { role: 'assistant', content: 'd' },
    ];
    const options = { tokenizer, template, completionOnlyLoss: true, where: 'row' };
    const { ids, labels } = labelConversation({ messages }, options);
    expect(ids).toEqual(tokenizer.encode(template.render(messages)));
    const counted = tokenizer.decode(ids.filter((_, t) => labels[t] !== NOT_COUNTED));
    expect(counted.trim()).toBe(tokenizer.decode(tokenizer.encode('d<|im_end|>\n')).trim());
  });
});

/** Null for a conversation that the template rewrites. */
function labelledOrNull<T>(label: () => T): T | null {
  try {
    return label();
  } catch (error) {
    if (QdyloraError.isInstance(error) && error.code === 'BAD_DATA') return null;
    throw error;
  }
}
