import { expect, it } from 'vitest';
import { renderProgram, TemplateFailure } from './render-program.ts';
import { readProgram, readTokens } from './syntax.ts';

const render = (source: string): string => renderProgram(readProgram(readTokens(source)), {}, source.length);

/** What the environment of transformers 5.24 (Jinja 3.1.6, trimmed blocks, loop controls) prints. */
it.each<[string, string, string]>([
  [
    'comparisons may be chained, and compute each operand once',
    '{{ [1 < 3 < 5, 5 > 3 > 4, 1 == 1 == 1, 1 == 2 == false, 1 < 2 == 2] }}',
    '[True, False, True, False, True]',
  ],
  [
    'comparisons may be chained, and compute each operand once',
    "{{ [1 in [1] == true, 'a' in 'ab' in ['ab'], 1 != 2 != 1, 3 not in [1] == [1]] }}",
    '[False, True, True, True]',
  ],
  [
    'comparisons may be chained, and compute each operand once',
    '{% set ns = namespace(n=0) %}{% macro f() %}{% set ns.n = ns.n + 1 %}2{% endmacro %}' +
      "{{ 'a' > f() < 'b' }}{{ ns.n }}",
    'True1',
  ],
  [
    '~ binds tighter than + and comparisons, and looser than *',
    "{{ 1 ~ 2 == '12' }}{{ 'a' in 'x' ~ 'a' }}{{ 2 * 3 ~ 1 }}{{ 'a' ~ 1 * 2 ~ 'b' }}",
    'TrueTrue61a2b',
  ],
  [
    '~ binds tighter than + and comparisons, and looser than *',
    "{{ 'a' + 1 ~ 2 }}{{ 'x' ~ 'Ab' | lower }}{{ not 'a' ~ '' }}{{ 1 ~ 2 is string }}",
    'a12xabFalse1False',
  ],
  [
    'filters and tests share one precedence, and bind tighter than powers',
    '{{ 3 is odd | string | length }}{{ -2 | abs }}{{ 2 ** -2 | abs }}{{ 2 ** 3 ** 2 }}{{ ' +
      'x is not defined | string }}',
    '42464True',
  ],
  [
    'tests take an argument',
    '{{ [4 is divisibleby 2, 4 is divisibleby(3), 3 is not divisibleby 2, 2 is in [1, 2], ' +
      'none is sameas none, 1 is sameas true] }}',
    '[True, False, True, True, True, False]',
  ],
  [
    'tests take an argument',
    "{{ ['a' is eq 'a', 3 is gt 2 and 2 is lt(3), 1 is ne 'a' ~ '', [4, 5] | " +
      "select('divisibleby', 2) | list] }}",
    "[True, True, 'True', [4]]",
  ],
  [
    'texts become numbers as in Python',
    "{{ ['inf' | float, ' -Infinity ' | float, 'nan' | float, 'NAN' | int, 'inf' | int(7), " +
      "'1_0' | int, '1__0' | int, '_1' | float] }}",
    '[inf, -inf, nan, 0, 7, 10, 0, 0.0]',
  ],
  [
    'texts become numbers as in Python',
    "{{ ['٣١' | int, '1e3' | int, ' 7.9 ' | int, '-0' | int, '0x1f' | int, '' | int, '1 2' " +
      "| float(2.5), '.5' | float, '५' | float] }}",
    '[31, 1000, 7, 0, 0, 0, 2.5, 0.5, 5.0]',
  ],
  [
    'texts become numbers as in Python',
    "{{ [none | int, true | int, [1] | int(4), 'nan' | float == 'nan' | float, 'x' | " + 'float] }}',
    '[0, 1, 4, False, 0.0]',
  ],
  [
    'quotients round down exactly',
    '{{ [1 // 0.1, -7 // 2, 7 // -2, 7.5 // 2, -1 // 3.0, 0.0 // -2, 9007199254740991 // ' +
      '2, -false * 0.5] }}',
    '[9.0, -4, -4, 3.0, -1.0, -0.0, 4503599627370495, 0.0]',
  ],
  [
    'filters that select give iterators: true even if empty, and empty once visited',
    "{{ 'yes' if [1] | select('gt', 5) else 'no' }}{% set odd = [1, 2, 3] | select('odd') " +
      '%}{{ odd | list }}{{ odd | list }}',
    'yes[1, 3][]',
  ],
  [
    'filters that select give iterators: true even if empty, and empty once visited',
    "{% set m = ['a', 'b', 'c'] | map('upper') %}{{ m | first }}{{ 'B' in m }}{{ m | join }" +
      "}{% for x in [3, 4] | reject('odd') %}{{ loop.length }}{% endfor %}{{ [1, 2] | " +
      'reverse | list }}',
    'ATrueC1[2, 1]',
  ],
  [
    'sums and extremes',
    "{{ [1, 2.5] | sum }}{{ [{'n': 2}, {'n': 5}] | sum('n', 10) }}{{ ['b', 'A'] | min }}{{ " +
      "['b', 'C'] | max(true) }}{{ [{'n': 2}, {'n': 5}] | max(attribute='n') }}{{ [] | min }}",
    "3.517Ab{'n': 5}",
  ],
  [
    'raw blocks are not read',
    'a\n  {% raw %}\n{{ x }}{# c #}{% if %}\n  {% endraw %}\nb',
    'a\n\n{{ x }}{# c #}{% if %}\nb',
  ],
  ['raw blocks are not read', 'a {%- raw -%} {{ x }} {%- endraw -%} b', 'a{{ x }}b'],
  ['raw blocks are not read', 'a\n  {%+ raw %}{\'"\\n{% endraw +%}\nb', 'a\n  {\'"\\n\nb'],
  [
    '`with` sets names for its block',
    '{% set a = 0 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% set a = 2 %}{{ a }}{% endwith ' +
      '%}{{ a }}{% with x, y = [3, 4] %}{{ x + y }}{% endwith %}{% with %}c{% endwith %}',
    '10207c',
  ],
  [
    'a plus sign keeps the whitespace of its side',
    'a\n  {%+ if true +%}\nb\n  {% endif %}\nc\n {#+ d +#}\ne {{+ 1 }}',
    'a\n  \nb\nc\n \ne 1',
  ],
  [
    'strings have the escapes of Python',
    "{{ '\\d\\'\\\"\\x41\\101\\u00e9\\U0001f600\\a\\q\\\\n' }}{{ \"it's {{ %} \\\nx\" }}",
    "\\d'\"AAé😀\u0007\\q\\nit's {{ %} x",
  ],
  [
    'tuples and targets',
    '{% for k, v in [(1, 2)] %}{{ k + v }}{% endfor %}{% set a, b = 1, 2 %}{{ a ~ b }}{{ ' +
      '() | length }}{{ (1,) }}{% set t = 1, 2, %}{{ t }}{% for (a, b) in [[5, 6]] %}{{ a * ' +
      'b }}{% endfor %}{% for x in 1, 2 if x > 1 %}{{ x }}{% endfor %}',
    '3120(1,)(1, 2)302',
  ],
  [
    'methods of strings',
    "{{ ', '.join(['a', 'b']) }} {{ 'a-b-c'.rsplit('-', 1) }} {{ " +
      "'a\\nb\\r\\nc\\n'.splitlines() }} {{ 'aXa'.count('a') }}{{ '🙂ab'.find('b') }}{{ " +
      "'a'.find('z') }}{{ 'abab'.rfind('ab') }} {{ 'ab'.removeprefix('a') }}{{ " +
      "'ab'.removesuffix('b') }}{{ 'ab'.removesuffix('') }}",
    "a, b ['a-b', 'c'] ['a', 'b', 'c'] 22-12 baab",
  ],
  [
    'dict() and loop.cycle()',
    "{{ dict({'a': 1}, b=2) }}{{ dict([('x', 1)]) }}{% for i in [1, 2, 3] %}{{ " +
      "loop.cycle('p', 'q') }}{% endfor %}",
    "{'a': 1, 'b': 2}{'x': 1}pqp",
  ],
])('%s: %s', (_, source, expected) => {
  expect(render(source)).toBe(expected);
});

/** Where Python fails too. */
it.each<[string, RegExp]>([
  ["{{ ('inf' | float) | int }}", /an infinite number is no whole number/],
  ['{{ [1] | select | length }}', /the filter length takes a list, not an iterator/],
  ['{{ [1] | select | last }}', /the filter last takes a list, not an iterator/],
  ['{{ [1] | map("string") | tojson }}', /an iterator is not JSON serializable/],
  ["{{ ['a'] | sum }}", /cannot compute a number \+ a string/],
  ['{{ 1 is odd 2 }}', /the test odd takes no argument/],
  ['{{ 1 is divisibleby }}', /the test divisibleby takes one argument/],
  ["{{ ','.join([1]) }}", /an item of join\(\) takes a string, not a number/],
  ['{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}', /of the macro m: caller/],
])('%s fails', (source, message) => {
  expect(() => render(source)).toThrow(message);
  expect(() => render(source)).toThrow(TemplateFailure);
});
