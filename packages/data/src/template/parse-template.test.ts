import { expect, it } from 'vitest';
import { createChatTemplate } from './chat-template.ts';

it.each<[string, string, string, RegExp]>([
  [
    'a recursive loop',
    '{% for m in messages recursive %}{% endfor %}',
    'UNSUPPORTED',
    /cannot be read at line 1, column 1 .*: Unknown statement type: a recursive loop/,
  ],
  [
    'a number in another notation',
    '{% raw %}{{ a }}{% b %}{% endraw %}\n{{ 1e5 }}',
    'UNSUPPORTED',
    /cannot be read at line 2, column 1 \(\{\{ 1e5 \}\}\): Unknown number: 1e5/,
  ],
  [
    'an escape by name',
    "a{{ '\\N{DASH}' }}",
    'UNSUPPORTED',
    /cannot be read at line 1, column 2 .*: Unknown escape of a string: \\N/,
  ],
  [
    'an iterator as text',
    "{{ messages | map(attribute='role') }}",
    'UNSUPPORTED',
    /The text of an iterator is its address in memory; add `\| list` to it/,
  ],
  [
    'a statement that no Jinja knows',
    '{% do messages.clear() %}',
    'BAD_CONFIG',
    /cannot be read at line 1, column 1 \(\{% do messages.clear\(\) %\}\): Unknown statement type: do/,
  ],
  [
    'a chain of tests',
    '{{ 1 is odd is true }}',
    'BAD_CONFIG',
    /cannot be read at line 1, column 1 .*: tests cannot be chained with `is`; join them by `and`/,
  ],
  [
    'a missing bracket',
    '{{ [1, 2 }}',
    'BAD_CONFIG',
    /cannot be read at line 1, column 1 \(\{\{ \[1, 2 \}\}\): `\]` is missing before `\}\}`/,
  ],
])('%s is refused: UNSUPPORTED if Python would read it, else BAD_CONFIG', (_, source, code, message) => {
  expect(() => createChatTemplate(source).render([{ role: 'user', content: 'hi' }])).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) as string }),
  );
});
