import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readProgram, readTokens } from './syntax.ts';

/** Every statement and every expression of the language, once. */
const EVERYTHING = `text{# comment #}
{% if a and not b %}1{% elif c %}2{% else %}3{% endif %}
{% for k, v in d.items() if v is not none %}{% continue %}{% else %}{% break %}{% endfor %}
{% set ns.x = [1, 2.5, 'text', (1, 2), {'k': v}] %}{% set block %}b{% endset %}
{% macro m(a, b=1) %}{{ a if b }}{{ a if b else c }}{% endmacro %}
{% call(z) m(1, b=2, *list, **dict) %}{{ z }}{% endcall %}
{% filter replace('a', 'b') %}f{% endfilter %}
{{ -x[1:2:3] | trim }}`;

/** A node as text: its type and what it holds. */
function shapeOf(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(shapeOf);
  if (node instanceof Map) return { map: [...(node as Map<unknown, unknown>)].map(shapeOf) };
  if (typeof node !== 'object' || node === null) return node;
  const { type, ...parts } = node as { type?: string };
  const entries = Object.entries(parts).map(([key, part]) => [key, shapeOf(part)] as const);
  return { [type ?? '?']: Object.fromEntries(entries) };
}

it('the parser makes of every construct the nodes that the evaluator reads', () => {
  expect(shapeOf(readProgram(readTokens(EVERYTHING)))).toMatchSnapshot();
});

it('@huggingface/jinja is pinned to one version', () => {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { dependencies } = JSON.parse(text) as { dependencies: Record<string, string> };
  expect(dependencies['@huggingface/jinja']).toBe('0.5.11');
});
