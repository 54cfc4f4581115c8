import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { capitalized, pythonRegex } from '@qdylora/data';
import { describe, expect, it } from 'vitest';
import { HARNESS_FIXTURES } from '../../test/harness-cases.ts';
import { groupError } from './metrics/aggregate.ts';
import { corpusBleu, tokenize13a } from './metrics/corpus-bleu.ts';
import { rouge, ROUGE_NAMES } from './metrics/rouge.ts';
import { NotALiteral, parseLiteral } from './python/parse-literal.ts';
import { createPythonRandom } from './python/python-random.ts';
import { strOf } from './python/text-rules.ts';

interface Parts {
  readonly random: {
    readonly cases: readonly {
      readonly seed: number;
      readonly size: number;
      readonly count: number;
      readonly samples: readonly number[][];
      readonly random: readonly number[];
      readonly choices: readonly number[];
    }[];
    readonly gsm8k_sha256: string;
  };
  readonly regexes: readonly {
    readonly pattern: string;
    readonly texts: readonly {
      readonly text: string;
      readonly found: readonly (string | string[])[];
      readonly cut: string;
    }[];
  }[];
  readonly literals: readonly { readonly text: string; readonly repr: string }[];
  readonly no_literals: readonly string[];
  readonly capitalized: readonly [string, string][];
  readonly tokens: readonly [string, string[]][];
  readonly bleu: readonly {
    readonly predictions: readonly string[];
    readonly references: readonly string[];
    readonly sacrebleu: number;
    readonly unsmoothed: number;
  }[];
  readonly rouge: readonly ({ readonly prediction: string; readonly reference: string } & Readonly<
    Record<'rouge1' | 'rouge2' | 'rougeL', number>
  >)[];
  readonly groups: {
    readonly errors: readonly number[];
    readonly sizes: readonly number[];
    readonly pooled: number;
    readonly unweighted: number;
  };
}

/** What CPython 3.11, sacrebleu and rouge_score make of the same texts (make_harness_parts.py). */
const PARTS = JSON.parse(readFileSync(join(HARNESS_FIXTURES, 'parts.expected.json'), 'utf8')) as Parts;
/** Logarithms and exponentials of two libraries may differ in the last bit; a score is one of 4 logs. */
const DIGITS = 13;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('random draws equal those of CPython', () => {
  it.each(PARTS.random.cases.map((golden) => [golden.seed, golden.size, golden.count, golden] as const))(
    'seed %i, %i elements, %i drawn',
    (seed, size, count, golden) => {
      const rng = createPythonRandom(seed);
      expect(golden.samples.map(() => rng.sample(range(size), count))).toEqual(golden.samples);
      expect(golden.random.map(() => rng.random())).toEqual(golden.random);
      expect(rng.choices(range(size), golden.choices.length)).toEqual(golden.choices);
    },
  );

  it('the examples of all 1319 questions of GSM8K are the same', () => {
    const rng = createPythonRandom(1234);
    const hash = createHash('sha256');
    for (let i = 0; i < 1319; i++) hash.update(rng.sample(range(7473), 5).join(','));
    expect(hash.digest('hex')).toBe(PARTS.random.gsm8k_sha256);
  });
});

describe('a regular expression of Python finds the same', () => {
  it.each(PARTS.regexes.map((golden) => [golden.pattern, golden] as const))('%s', (pattern, { texts }) => {
    for (const { text, found, cut } of texts) {
      const matches = [...text.matchAll(pythonRegex(pattern))].map(([whole, ...groups]) => {
        const parts = groups.map((group) => group ?? '');
        return parts.length === 0 ? whole : parts.length === 1 ? parts[0] : parts;
      });
      expect(matches, JSON.stringify(text)).toEqual(found);
      expect(text.replace(pythonRegex(pattern), ''), JSON.stringify(text)).toBe(cut);
    }
  });

  const malformed = ['(?P=)', '(?P=a-b)', '(?P<a>b)(?P=a'];
  it.each(['(?x)a', 'a++', '(?>a)', '(?i:a)', '[a', '[\\w-z]', '\\p', 'a)(b', ...malformed])(
    '%s is refused',
    (pattern) => {
      expect(() => pythonRegex(pattern)).toThrow(/regular expression/);
    },
  );
});

it.each([
  ['[\\s\\S]', ['a', ' ', '\n', '9', '_']],
  ['[\\S]+', ['a', '9_']],
  ['[^\\S\\n]', [' ']],
  ['[^\\W\\d]', ['a', '_']],
  ['[\\D9]+', ['a \n9_']],
  ['[^\\S]*9', [' \n9']],
  ['[\\S^a]+', ['a', '9_']],
  ['[^\\W\\d_]+', ['a']],
  ['[^\\W]{2}', ['9_']],
  ['[^\\S\\n]*9', ['9']],
])('a character set with a complement finds the same: %s', (pattern, found) => {
  expect('a \n9_'.match(pythonRegex(pattern))).toEqual(found);
});

describe('literals of Python', () => {
  it.each(PARTS.literals.map(({ text, repr }) => [text, repr]))('%s is read', (text, repr) => {
    expect(strOf([parseLiteral(text)])).toBe(`[${repr}]`);
  });

  it.each(PARTS.no_literals)('%s is none', (text) => {
    expect(() => parseLiteral(text)).toThrow(NotALiteral);
  });

  it.each([
    ['a character beyond Unicode', '"\\U00110000"'],
    ['a list nested 20,000 times', '['.repeat(20_000)],
    ['a list nested 65 times', `${'['.repeat(65)}${']'.repeat(65)}`],
  ])('%s is none', (_, text) => {
    expect(() => parseLiteral(text)).toThrow(NotALiteral);
    expect(strOf(parseLiteral(`${'['.repeat(64)}${']'.repeat(64)}`))).toHaveLength(128);
  });

  it('a text begins with title case', () => {
    for (const [text, expected] of PARTS.capitalized) expect(capitalized(text)).toBe(expected);
  });
});

describe('scores of texts', () => {
  it('the words of BLEU are those of mteval-13a', () => {
    for (const [text, words] of PARTS.tokens) expect(tokenize13a(text)).toEqual(words);
  });

  it('BLEU equals that of sacrebleu, with and without smoothing', () => {
    for (const { predictions, references, sacrebleu, unsmoothed } of PARTS.bleu) {
      const score = (smoothing: 'exponential' | 'none'): number =>
        corpusBleu(
          predictions,
          references.map((reference) => [reference]),
          { smoothing },
        ).score;
      expect(score('exponential')).toBeCloseTo(sacrebleu, DIGITS - 2);
      expect(score('none')).toBeCloseTo(unsmoothed, DIGITS - 2);
    }
  });

  it('ROUGE equals that of rouge_score', () => {
    for (const golden of PARTS.rouge)
      for (const name of ROUGE_NAMES)
        expect(rouge(name, golden.reference, golden.prediction)).toBe(golden[name]);
  });

  it('the standard error of a group is pooled, or that of a plain mean', () => {
    const { errors, sizes, pooled, unweighted } = PARTS.groups;
    expect(groupError(errors, sizes, true)).toBeCloseTo(pooled, DIGITS);
    expect(groupError(errors, sizes, false)).toBeCloseTo(unweighted, DIGITS);
  });
});
