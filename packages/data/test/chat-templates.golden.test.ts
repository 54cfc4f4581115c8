import { readFileSync } from 'node:fs';
import { QdyloraError } from '@qdylora/contract';
import { expect, test } from 'vitest';
import { createChatTemplate, type ChatMessage, type ChatTemplate, type RenderOptions } from '../src/index.ts';
import { parseExactJson } from '../src/rows/json/parse-exact-json.ts';

interface Case {
  readonly template: string;
  readonly conversation: string;
  readonly tools: boolean;
  readonly generation: boolean;
  readonly rendered: string | { readonly refused: string };
}
interface Golden {
  readonly templates: Readonly<Record<string, string>>;
  readonly tools: readonly unknown[];
  readonly cases: readonly Case[];
  /** Conversations whose last message has a text, rendered for an answer that goes on with it. */
  readonly continued: readonly Case[];
}

/**
 * What transformers 5.24 makes of templates in the ways of popular families
 * (packages/testing/makers/make_chat_templates.py).
 */
const text = readFileSync(new URL('../fixtures/chat-templates.expected.json', import.meta.url), 'utf8');
const golden = JSON.parse(text) as Golden;
/** With the numbers that they have in Python. */
const conversations = (
  parseExactJson(text) as ReadonlyMap<string, ReadonlyMap<string, readonly ReadonlyMap<string, unknown>[]>>
).get('conversations')!;

test.each(Object.entries(golden.templates))(
  '%s: every conversation is rendered as transformers renders it, or refused where it refuses',
  (name, source) => {
    const template = createChatTemplate(source, { variables: { bos_token: '<s>', eos_token: '</s>' } });
    const cases = golden.cases.filter((one) => one.template === name);
    expect(cases.length).toBeGreaterThan(10);
    for (const one of cases)
      expectRendered(template, one, {
        addGenerationPrompt: one.generation,
        tools: one.tools ? golden.tools : undefined,
      });
  },
);

test.each(Object.entries(golden.templates).filter(([, source]) => source.includes('content')))(
  '%s: every conversation that ends with a text can be continued where transformers can',
  (name, source) => {
    const template = createChatTemplate(source, { variables: { bos_token: '<s>', eos_token: '</s>' } });
    const cases = golden.continued.filter((one) => one.template === name);
    expect(cases.length).toBeGreaterThan(10);
    for (const one of cases) expectRendered(template, one, { continueFinalMessage: true });
  },
);

test('what cannot be continued is refused', () => {
  const template = createChatTemplate(golden.templates['phi-3']);
  const continued = { continueFinalMessage: true };
  for (const messages of [[], [{ role: 'user', content: null }]])
    expect(() => template.render(messages, continued)).toThrow(/The last message has no text/);
  expect(() => template.render([], { ...continued, addGenerationPrompt: true })).toThrow(/not with both/);
  expect(() => template.renderMarked([], continued)).toThrow(/use `render`/);
});

/** Renders a case as transformers has rendered it, or refuses it where transformers has. */
function expectRendered(
  template: ChatTemplate,
  { conversation, rendered }: Case,
  options: RenderOptions,
): void {
  const messages = conversations.get(conversation)!;
  const render = (): string =>
    template.render(
      messages.map((message) => Object.fromEntries(message) as ChatMessage),
      options,
    );
  if (typeof rendered === 'string') expect(render(), conversation).toBe(rendered);
  else expect(['BAD_DATA', 'UNSUPPORTED'], conversation).toContain(codeOf(render));
}

function codeOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return QdyloraError.isInstance(error) ? error.code : error;
  }
}
