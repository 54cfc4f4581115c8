import { expect, it } from 'vitest';
import { pythonRegex } from './python-regex.ts';

/** Matches of Python 3.11's `re.finditer`. */
it.each<[string, string, string[]]>([
  [String.raw`(a|b)\1`, 'abbaa', ['bb', 'aa']],
  [String.raw`(?P<q>['"]).*?(?P=q)`, `'a' "b'"`, ["'a'", `"b'"`]],
  [String.raw`(?:(a)\1|b)+`, 'aabaaab', ['aabaa', 'b']],
  [String.raw`(?=(\w))\1-`, 'a-b-', ['a-', 'b-']],
  [String.raw`(?<=(a))b\1`, 'abab', ['ba']],
  [String.raw`(?!(a)\1).`, 'aab', ['a', 'b']],
  [String.raw`((a)(b)?)c\2`, 'abcaac', ['abca']],

  [String.raw`\101[\102\0-\3]\01`, 'AB\u0001A\u0003\u0001', ['AB\u0001', 'A\u0003\u0001']],
  [String.raw`(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)\10`, 'abcdefghijj', ['abcdefghijj']],
])('%s finds what it finds in Python', (pattern, text, found) => {
  expect([...text.matchAll(pythonRegex(pattern))].map(([match]) => match)).toEqual(found);
});

/** Python fails to match where the group has not matched; JavaScript would match the empty text. */
it.each([
  String.raw`(a)?\1`,
  String.raw`(a)*\1`,
  String.raw`(a){0,2}\1`,
  String.raw`(?:(a)|b)\1`,
  String.raw`(a)|\1`,
  String.raw`(?P<x>a)?b(?P=x)`,
  String.raw`(?:b(a))?\1`,
  String.raw`(?:(a)|b\1)+`,
  String.raw`(?!(a))\1`,
  String.raw`(a?)+\1`,
])('%s has a reference that JavaScript cannot express', (pattern) => {
  expect(() => pythonRegex(pattern)).toThrow(
    expect.objectContaining({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(
        /a reference to the group (1|x), which is optional, repeated or in another alternative/,
      ) as string,
    }),
  );
});

it('a quantifier behind a lookaround, which Python allows, is not supported', () => {
  expect(() => pythonRegex('(?=a)*b')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
});

it.each([
  [String.raw`(a\1)`, /the group 1 has a reference to itself/],
  [String.raw`\2(a)(b)`, /there is no group 2 before the reference to it/],
  [String.raw`(?P=x)(?P<x>a)`, /there is no group x before the reference to it/],
  [String.raw`\477`, /the octal escape \\477 is beyond \\377/],
  [String.raw`[\8]`, /bad escape \\8/],
])('%s is invalid, as in Python', (pattern, message) => {
  expect(() => pythonRegex(pattern)).toThrow(
    expect.objectContaining({ code: 'BAD_CONFIG', message: expect.stringMatching(message) as string }),
  );
});
