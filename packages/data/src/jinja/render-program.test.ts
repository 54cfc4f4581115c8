import { describe, expect, it } from 'vitest';
import { TemplateLimit } from './budget.ts';
import { parseExactJson } from '../rows/json/parse-exact-json.ts';
import { templateValue, UnknownJinja, type Dict } from './python/values.ts';
import { renderProgram, TemplateFailure } from './render-program.ts';
import { readProgram, readTokens } from './syntax.ts';

const render = (source: string, variables: Readonly<Record<string, unknown>> = {}): string => {
  const values = Object.entries(variables).map(([name, value]) => [name, templateValue(value)] as const);
  return renderProgram(
    readProgram(readTokens(source)),
    Object.fromEntries(values),
    source.length + JSON.stringify(variables).length,
  );
};

/** What Jinja 3.1.6 of Python prints. */
describe('a template is rendered as Python renders it', () => {
  it.each<[string, string, string]>([
    [
      'a name that a turn sets is gone in the next',
      '{% for i in [1, 2] %}{{ w }}{% set w = i %}{% endfor %}',
      '',
    ],
    [
      'a name that a block sets is gone behind it',
      '{% set x %}{% set y = 1 %}{{ y }}{% endset %}{% filter upper %}{% set y = 2 %}{{ y }}{% endfilter %}' +
        '{% for i in [] %}{% else %}{% set y = 3 %}{{ y }}{% endfor %}[{{ x }}{{ y }}]',
      '23[1]',
    ],
    ['a name that a condition sets stays', '{% if true %}{% set y = 1 %}{% endif %}{{ y }}', '1'],
    [
      'newlines behind blocks and spaces before them are removed, in texts and strings they stay',
      "100%}\na#}\n{b-}\n  {-1}{{ '%}\nx\n {% y' }}\n  {% if 1 %}\n  {# c #}\nd\n  {% endif %}\ne",
      '100%}\na#}\n{b-}\n  {-1}%}\nx\n {% y\nd\ne',
    ],
    [
      'a break in the first turn runs the else',
      '{% for i in [1] %}a{% break %}{% else %}b{% endfor %}',
      'ab',
    ],
    [
      'a chain of comparisons holds where all of them do',
      '{{ 0 < 50 < 10 }} {{ 0 < 5 < 10 }} {{ 0 < 5 <= 5 > 4 }} {{ 9 < 5 < 10 }} {{ 1 < 3 > 2 >= 3 }}',
      'False True True False False',
    ],
    ['a complete turn skips the else', '{% for i in [1, 2] %}{{ i }}{% else %}b{% endfor %}', '12'],
    ['a loop goes over characters and keys', "{% for c in 'ab' %}{{ c }},{% endfor %}", 'a,b,'],
    [
      'a macro does not see the names around its call',
      '{% macro f() %}{{ i }}{% endmacro %}{% for i in [1] %}{{ f() }}{% endfor %}',
      '',
    ],
    [
      'a macro collects further arguments',
      '{% macro f(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, b=3) }}',
      "1(2,){'b': 3}",
    ],
    [
      'an undefined argument takes the place of a default',
      '{% macro f(a=1) %}{{ a }}{% endmacro %}[{{ f(nope) }}|{{ f(a=nope) }}|{{ f() }}|{{ f(none) }}]',
      '[||1|None]',
    ],
    [
      'a call block is the caller',
      '{% macro f() %}<{{ caller(1) }}>{% endmacro %}{% call(x) f() %}{{ x }}{% endcall %}',
      '<1>',
    ],
    [
      'a method comes before a key, and an index after',
      "{% set d = {'items': 2} %}{{ d.items() | list }}{{ d['items'] }}",
      "[('items', 2)]2",
    ],
    ['a key without a value is None, not undefined', "{{ {'a': none}['a'] }}{{ {'a': none}.a }}", 'NoneNone'],
    [
      'a remainder is exact',
      '{{ 9 % (7 / 12345678) }} {{ -7 % 3 }} {{ -6.0 % 3 }}',
      '3.240000268865416e-07 2 0.0',
    ],
    [
      'a replacement may be counted',
      "{{ 'aaa'.replace('a', 'b', 2) }}{{ 'ab' | replace('', '-') }}",
      'bba-a-b-',
    ],
    [
      'map applies a filter by its name, with its arguments',
      "{{ ['a', 'b'] | map('upper') | join }}{{ ['aa'] | map('replace', 'a', 'b', count=1) | first }}",
      'ABba',
    ],
    [
      'filters of items find none in None',
      "{{ none | map('upper') | list }}{{ none | selectattr('a') | list }}" +
        "{{ none | rejectattr('a') | list }}",
      '[][][]',
    ],
    [
      'a string or a list is repeated, never less than not at all',
      "{{ '-' * 3 }}{{ 2 * 'ab' }}{{ [0, 1] * 2 }}{{ 'a' * -1 }}{{ 'a' * true }}",
      '---abab[0, 1, 0, 1]a',
    ],
    [
      'a sum with a safe string escapes its other strings, and nothing else does',
      "{{ 'a' | safe + '<&>' + \"'\" }}{{ '\"' + 'b' | safe }}{{ '<' ~ 'c' | safe }}{{ '<' | safe }}" +
        "{% set d = '<d' | safe %}{{ d + '>' }}{{ ('e' | safe if true) + '<' }}{{ 1 | safe + '2' }}",
      'a&lt;&amp;&gt;&#39;&#34;b<c<<d&gt;e&lt;12',
    ],
    ['slices go both ways, by characters', "{{ 'a🙂cdef'[::-2] }}{{ [1, 2, 3][-2:] }}", 'fd🙂[2, 3]'],
  ])('%s', (_, source, expected) => {
    expect(render(source)).toBe(expected);
  });
});

it.each([
  ["{{ 'abc'.startswith('b', 1) }}", /startswith\(\) with a start or an end/],
  ['{{ [1, 2].index(2, 1) }}', /index\(\) with a start or an end/],
])('%s, which Python allows, is Jinja that is not supported', (source, message) => {
  let failure: unknown;
  try {
    render(source);
  } catch (error) {
    failure = error;
  }
  expect((failure as TemplateFailure).message).toMatch(message);
  expect((failure as TemplateFailure).cause).toBeInstanceOf(UnknownJinja);
});

it.each<[string, string, RegExp]>([
  ['an attribute of an undefined value', '{{ missing.x }}', /undefined value/],
  ['a loop over None', '{% for x in none %}{% endfor %}', /for takes a list, not None/],
  ['a break outside of a loop', '{% break %}', /break outside of a loop/],
  [
    'too many arguments',
    '{% macro f(a) %}{% endmacro %}{{ f(1, 2) }}',
    /the macro f takes at most 1 argument, not 2/,
  ],
  ['too many arguments of a method', "{{ {}.get('a', 1, 2) }}", /get\(\) takes at most 2 arguments, not 3/],
  ['an unknown argument of a method', "{{ 'a'.split(by='b') }}", /Unknown argument of split\(\): by/],
  ['a string times a fraction', "{{ 'a' * 1.5 }}", /cannot compute a string \* a number/],
  ['unequal numbers of names and items', '{% set a, b = [1] %}', /cannot unpack 1 items into 2 names/],
])('%s is an error, as in Python', (_, source, message) => {
  let failure: unknown;
  try {
    render(source);
  } catch (error) {
    failure = error;
  }
  expect(failure).toBeInstanceOf(TemplateFailure);
  const { message: actual, cause } = failure as TemplateFailure;
  expect(actual).toMatch(message);
  expect(cause).not.toBeInstanceOf(UnknownJinja); // which would end a run, whatever `on_bad_row` says
});

it.each<[string, string, RegExp]>([
  [
    'an unknown argument of a filter',
    "{{ [1] | join(attribute='a') }}",
    /argument of the filter join: attribute/,
  ],
  ['% after a string', "{{ '%s: %s' % ('a', 'b') }}", /Unknown operator: % after a string/],
  [
    'a further argument of a filter',
    "{{ '1' | int(0, 16) }}",
    /The filter int takes at most 1 argument, not 2/,
  ],
  ['a key that is no string', '{{ {1: 2} }}', /key of a mapping must be a string, not a number/],
  ['an order of lists', '{{ [1] < [2] }}', /Unknown operator: a list < a list/],
  ['a tuple times a number', '{{ (1, 2) * 2 }}', /Unknown operator: a tuple \* a number/],
  ['a filtered block', '{% set x | upper %}a{% endset %}', /Cannot assign to .*: FilterExpression/],
])('%s is refused as not implemented', (_, source, message) => {
  expect(() => render(source)).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(message) as string,
      cause: expect.any(UnknownJinja) as UnknownJinja,
    }),
  );
});

function renderLarge(expression: string): string {
  const values = templateValue(parseExactJson('{"n": 12345678901234567890, "m": 12345678901234567891}'));
  return renderProgram(
    readProgram(readTokens(`{{ ${expression} }}`)),
    Object.fromEntries(values as Dict),
    99,
  );
}

/** What Jinja 3.1.6 of Python prints for n = 12345678901234567890 and m = n + 1. */
it.each([
  ['n | int', '12345678901234567890'],
  ['-n', '-12345678901234567890'],
  ['+n', '12345678901234567890'],
  ['-n | abs', '12345678901234567890'],
  ['[n == m, n < m, n > m, n != m, -n > -m, n >= n]', '[False, True, False, True, True, True]'],
  ['[n in [m], n in [m, n], [n] == [m]]', '[False, True, False]'],
  ['[n == 12345678901234567168.0, n > 12345678901234567168.0, n > 1.5, n < 3]', '[False, True, True, False]'],
  ['[m, n, m] | unique | list', '[12345678901234567891, 12345678901234567890]'],
  ['[m, n, 10000000000000000000.0, 7] | sort', '[7, 1e+19, 12345678901234567890, 12345678901234567891]'],
  ['n * 1.0', '1.2345678901234567e+19'],
  ['9007199254740991', '9007199254740991'],
])('a whole number beyond 2^53 keeps its digits: %s', (expression, expected) => {
  expect(renderLarge(expression)).toBe(expected);
});

it.each([
  'n + 1',
  'm - n',
  'n // 2',
  'n * 2',
  '10 ** 21',
  '9007199254740992',
  "'12345678901234567890' | int",
])('a result beyond 2^53 is refused as not implemented: %s', (expression) => {
  expect(() => renderLarge(expression)).toThrow(
    expect.objectContaining({
      message: expect.stringMatching(
        /Whole numbers beyond 2\^53 of the data can be printed and compared, but not computed/,
      ) as string,
      cause: expect.any(UnknownJinja) as UnknownJinja,
    }),
  );
});

it.each(["'ab' * 10 ** 9", "'ab' * 10 ** 15", '[1] * 10 ** 9'])('%s is beyond the limits', (product) => {
  expect(() => render(`{{ ${product} }}`)).toThrow(
    expect.objectContaining({ cause: expect.any(TemplateLimit) as TemplateLimit }),
  );
});

it('white space is stripped in one pass, also beside long runs of it', { timeout: 20_000 }, () => {
  // milliseconds; a search that begins again at every unit takes minutes
  const run = ' '.repeat(400_000);
  const text = `${run}a${run}b${run}`;
  expect(render('{{ text | trim | length }} {{ text.rstrip() | length }}', { text })).toBe('400002 800002');
});
