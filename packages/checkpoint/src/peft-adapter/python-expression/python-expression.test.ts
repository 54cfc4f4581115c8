import { expect, it } from 'vitest';
import { cpuStopwatch } from '../../test-support/cpu-stopwatch.ts';
import { pythonExpression } from './python-expression.ts';

const NAMES = ['q_proj', 'Q_PROJ', 'model.layers.10.self_attn.q_proj', 'h.1.q', 'a', 'ab', 'aab', '', 'a\n'];

/**
 * Results of `re` of Python 3.11.7: the indices of the names that `fullmatch` finds, and those that `match`
 * finds, each with its group `idx`.
 */
const PYTHON = [
  [String.raw`.*q_proj`, '0 2', '0 2'],
  [String.raw`(?i).*Q_PROJ`, '0 1 2', '0 1 2'],
  [String.raw`\A.*q_proj\Z`, '0 2', '0 2'],
  [String.raw`a$`, '4', '4 8'],
  [String.raw`a\Z`, '4', '4'],
  [String.raw`a?a?b`, '5 6', '5 6'],
  [String.raw`(a|b)+`, '4 5 6', '4 5 6 8'],
  [String.raw`(a*)*`, '4 7', '0 1 2 3 4 5 6 7 8'],
  [String.raw`(?:a|ab)(?:b|)`, '4 5', '4 5 6 8'],
  [String.raw`a{2}b`, '6', '6'],
  [String.raw`a{,2}b`, '5 6', '5 6'],
  [String.raw`a{,}`, '4 7', '0 1 2 3 4 5 6 7 8'],
  [String.raw`[]a]`, '4', '4 5 6 8'],
  [String.raw`[^]a]`, '', '0 1 2 3'],
  [String.raw`[a-b]+`, '4 5 6', '4 5 6 8'],
  [String.raw`(?i)[^Q]_PROJ`, '', ''],
  [String.raw`\w+`, '0 1 4 5 6', '0 1 2 3 4 5 6 8'],
  [String.raw`\W`, '', ''],
  [String.raw`.*\blayers\b.*`, '2', '2'],
  [String.raw`(?!.*layers).*proj`, '0', '0'],
  [String.raw`.*(?<=self_attn\.)q_proj`, '2', '2'],
  [String.raw`.*(?<!\.)q_proj`, '0', '0'],
  [String.raw`.*?\.(?P<idx>\d+)\..*`, '2 3', '2:10 3:1'],
  [String.raw`.*\.(?P<idx>\d*).*`, '2 3', '2: 3:'],
  [String.raw`(?P<idx>a)|ab`, '4 5', '4:a 5:a 6:a 8:a'],
  [String.raw`(?P<idx>a|ab)b?`, '4 5', '4:a 5:a 6:a 8:a'],
  [String.raw`(?P<idx>a??)ab`, '5 6', '5: 6:a'],
  [String.raw`a{`, '', ''],
  [String.raw`{a`, '', ''],
  [String.raw`a{1,2}?b`, '5 6', '5 6'],
] as const;

it.each(PYTHON)('%s matches what it matches in Python', (expression, whole, beginning) => {
  const read = pythonExpression(expression)!;
  const matches = NAMES.map((name) => ({ fits: read.fitsWhole(name), match: read.fitsBeginning(name) }));
  expect(matches.flatMap(({ fits }, i) => (fits ? [i] : [])).join(' ')).toBe(whole);
  const beginnings = matches.flatMap(({ match }, i) =>
    match === null ? [] : [match.group === null ? `${i}` : `${i}:${match.group}`],
  );
  expect(beginnings.join(' ')).toBe(beginning);
});

it('an expression that Python refuses, or that is beyond what is read, is null', () => {
  const refused = [
    '(',
    ')',
    '*a',
    'a**',
    'a{2,1}',
    '^*',
    '[a',
    '[b-a]',
    '[\\d-z]',
    '\\',
    '\\q',
    '(?<=a*)b',
    'a(?i)',
  ];
  const beyond = ['(a)\\1', '(?s).', 'a*+', '(?>a)', '(?=(?!a))', '\\x61', 'a'.repeat(2000), 'a{9999}'];
  const deep = ['('.repeat(100) + ')'.repeat(100), '((a{99}){99}){99}', `(?=${'a'.repeat(200)})`];
  for (const expression of [...refused, ...beyond, ...deep])
    expect(pythonExpression(expression), expression).toBeNull();
});

it('an expression that takes a backtracking matcher exponential time is matched at once', () => {
  const elapsed = cpuStopwatch();
  const hostile = ['(a|a)'.repeat(60), 'a?'.repeat(60) + 'a'.repeat(60), '(a+)+', '.*.*.*.*.*.*', '((a*)*)*'];
  for (const expression of hostile)
    expect(pythonExpression(`${expression}[bc]`)!.fitsWhole(`${'a'.repeat(250)}d`)).toBe(false);
  expect(elapsed()).toBeLessThan(2000);
});
