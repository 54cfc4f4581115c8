import { expect, it } from 'vitest';
import { readsName } from './reads-name.ts';
import { readProgram, readTokens } from './syntax.ts';

const readsTools = (source: string): boolean => readsName(readProgram(readTokens(source)), 'tools');

it.each([
  '{{ tools }}',
  '{% if tools is defined %}{% endif %}',
  '{% for tool in tools %}{% endfor %}',
  '{% for m in messages if tools %}{% endfor %}',
  '{% set found = tools | length %}',
  '{% set ns.tools = tools %}',
  '{{ messages[tools] }}',
  '{{ messages[0:tools] }}',
  "{{ {'tools': tools} }}",
  "{{ '' | default(tools) }}",
  '{% filter replace("a", tools) %}{% endfilter %}',
  '{% macro f(a=tools) %}{% endmacro %}',
  '{{ f(a=tools, **b) }}',
  '{% call f(tools) %}{% endcall %}',
  '{{ 1 is in tools }}{{ 1 is divisibleby(2) }}',
  '{{ 1 < 2 < tools }}',
  '{% with a = tools %}{% endwith %}',
])('%s reads the variable', (source) => {
  expect(readsTools(source)).toBe(true);
});

it.each([
  "{{ message['tools'] }}{{ message.tools }}{{ 'tools' in message }}",
  "{{ {'tools': 1} }}tools{# tools #}",
  '{% set tools = none %}',
  '{% for tools in messages %}{% endfor %}',
  '{% macro tools(a) %}{% endmacro %}',
  '{% macro f(tools) %}{% endmacro %}',
  '{{ f(tools=1) }}',
  '{% with tools = 1 %}{% endwith %}{{ 1 is tools }}',
])('%s only mentions its name', (source) => {
  expect(readsTools(source)).toBe(false);
});
