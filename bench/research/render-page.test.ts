import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { renderPage } from './render-page.ts';
import { PAGE_NAMES, pageUrl, renderedPage } from './research-pages.ts';
import { allResults, type Result } from './results.ts';

/** Four held-out rows of 10 tokens. */
const result = (id: string, rowSums: Result['rowSums'], more: Partial<Result> = {}): Result =>
  ({ id, tokens: 12345, rowSums, rowCounts: [10, 10, 10, 10], ...more }) as Result;

const NESTED = result(
  'nested',
  { 1: [8, 9, 7, 8], 2: [7, 8, 6.3, 7], 8: [6, 7, 5, 6.4] },
  {
    cut: { energy: { rowSums: { 1: [9, 9, 9, 9] } } },
    finished: [
      { rank: 1, steps: 15, learningRate: 0.0004, moments: 'kept', loss: 0.7, rowSums: [7, 7, 7, 7] },
      { rank: 1, steps: 30, learningRate: 0.0004, moments: 'kept', loss: 0.6, rowSums: [6, 6, 6, 6] },
    ],
  },
);
const DEDICATED = result('dedicated', { 1: [7.1, 8, 6, 7.1], 2: [7.1, 8.1, 6, 6.9] });
const OTHER_ROWS = { ...DEDICATED, id: 'other-rows', rowCounts: [10, 10, 10, 9] };
const render = (template: string): string => renderPage(template, [NESTED, DEDICATED, OTHER_ROWS]);

test.each(PAGE_NAMES)('%s has the numbers of the results', (name) => {
  // after new results or a new template: node --conditions=source --import tsx bench/research/write-pages.ts
  expect(readFileSync(pageUrl(name), 'utf8')).toBe(renderedPage(name, allResults()));
});

test.each([
  ['| {{losses nested 1 2 64}} |', '| 0.800 | 0.708 |  |'],
  ['| {{losses nested,dedicated 2 8}} |', '| 0.705 |  |'],
  ['{{list nested 1 2 8}} at ranks 1, 2 and 8', '0.800, 0.708 and 0.610 at ranks 1, 2 and 8'],
  ['{{loss nested+cut:energy 1}} and {{loss nested+cut:energy 8}}', '0.900 and 0.610'],
  ['{{loss nested+finish:15 1}}, {{loss nested+finish:30:0.0004:kept 1}}', '0.700, 0.600'],
  ['{{percent nested dedicated 1}}', '+13.5\u00a0%'],
  ['{{gap dedicated nested 1}}', '−0.095 ± 0.003'],
  ['{{loss nested,dedicated 2}}', '0.705'],
  ['{{gap nested,dedicated dedicated,dedicated 1}}', '+0.048 ± 0.001'],
  ['{{tokens nested}} tokens', '12,345 tokens'],
])('%s becomes %s', (template, text) => {
  expect(render(template)).toBe(text);
});

test('a difference is bold if it is not significant after Holm within its table', () => {
  const clear = '{{difference nested dedicated 1}}';
  const unclear = '{{difference nested dedicated 2}}';
  expect(render(`${clear} | ${unclear} | {{p nested dedicated 2}}`)).toBe(
    '+0.095 ± 0.003 | **+0.005 ± 0.010** | 0.6',
  );
  // p of the clear one times the number of comparisons of its table, but not of the next one
  const many = Array.from({ length: 2000 }, () => unclear).join(' ');
  expect(render(`${clear}\n${many}`)).toMatch(/^\*\*\+0\.095/);
  expect(render(`${clear}\n\n${many}`)).toMatch(/^\+0\.095/);
});

test.each([
  ['{{loss other 1}}', 'There is no result of other.'],
  ['{{loss nested 4}}', 'nested was not measured at rank 4.'],
  ['{{loss nested mean}}', 'nested was not measured at rank 4.'],
  ['{{loss nested+level:3 1}}', 'nested has no result of level:3.'],
  ['{{loss dedicated+cut:energy 1}}', 'dedicated has no result of cut:energy.'],
  ['{{loss nested+cut:prefix 1}}', 'nested has no result of cut:prefix.'],
  ['{{loss nested+finish 1}}', 'A rank was finished in several ways: name steps, rate and moments.'],
  ['{{loss nested,other-rows 1}}', 'nested,other-rows were not measured over the same held-out rows.'],
  ['{{p nested dedicated 1}}', 'The table has no such difference.'],
  ['{{median nested 1}}', 'There is no call `median`.'],
])('%s is refused', (template, problem) => {
  expect(() => render(template)).toThrow(`${template}: ${problem}`);
});
