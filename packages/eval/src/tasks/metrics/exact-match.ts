import { pythonRegex } from '@qdylora/data';
import type { YamlEntries } from '../definition/yaml-entries.ts';

/** What an exact match ignores, in both texts. */
export interface ExactMatchOptions {
  /** Matches are removed, one expression after the other. */
  readonly regexesToIgnore: readonly RegExp[];
  readonly ignoreCase: boolean;
  /** Removes the 32 punctuation characters of ASCII. */
  readonly ignorePunctuation: boolean;
  /** Removes the digits of ASCII. */
  readonly ignoreNumbers: boolean;
}

/** The options of a metric, from its entry in `metric_list`. */
export const readExactMatch = (entries: YamlEntries): ExactMatchOptions => ({
  regexesToIgnore: (entries.texts('regexes_to_ignore') ?? []).map(pythonRegex),
  ignoreCase: entries.flag('ignore_case'),
  ignorePunctuation: entries.flag('ignore_punctuation'),
  ignoreNumbers: entries.flag('ignore_numbers'),
});

const PUNCTUATION = /[!-/:-@[-`{-~]/g;
const DIGITS = /[0-9]/g;

/** True if two texts are equal after removing what is ignored: `exact_match` of the harness. */
export const isExactMatch = (prediction: string, reference: string, options: ExactMatchOptions): boolean =>
  compared(prediction, options) === compared(reference, options);

function compared(text: string, options: ExactMatchOptions): string {
  let rest = options.regexesToIgnore.reduce((left, regex) => left.replace(regex, ''), text);
  if (options.ignoreCase) rest = rest.toLowerCase();
  if (options.ignorePunctuation) rest = rest.replace(PUNCTUATION, '');
  return options.ignoreNumbers ? rest.replace(DIGITS, '') : rest;
}
