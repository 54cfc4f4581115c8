import { PYTHON_SPACE, type PythonDict, type RowValues } from '@qdylora/data';
import { textColumn } from '../prompts/document-fields.ts';
import { textLengths } from '../scoring/text-lengths.ts';
import type { BuiltInTask } from './built-in-task.ts';

/** lm_eval/tasks/wikitext/wikitext.yaml of lm-evaluation-harness 0.4.13 (MIT). */
const YAML = String.raw`task: wikitext
dataset_path: EleutherAI/wikitext_document_level
dataset_name: wikitext-2-raw-v1
output_type: loglikelihood_rolling
training_split: train
validation_split: validation
test_split: test
doc_to_text: ""
doc_to_target: !function preprocess_wikitext.wikitext_detokenizer
process_results: !function preprocess_wikitext.process_results
should_decontaminate: true
doc_to_decontamination_query: "{{page}}"
metric_list:
  - metric: word_perplexity
  - metric: byte_perplexity
  - metric: bits_per_byte
metadata:
  version: 2.0
`;

const pageOf = (document: PythonDict): string => document.get('page') as string;

/** @throws QdyloraError BAD_DATA for a row without a text in `page` */
function withPage(row: RowValues): RowValues {
  textColumn({ task: { name: 'wikitext' }, row }, 'page');
  return row;
}

/** Scored is the detokenized page; its log p is divided by the lengths of the page as it was. */
export const WIKITEXT: BuiltInTask = {
  yaml: YAML,
  functions: {
    processRows: (rows) => rows.map(withPage),
    target: (document) => detokenized(pageOf(document)),
    lengths: (document) => textLengths(pageOf(document)),
  },
};

type Replacement = readonly [pattern: string | RegExp, replacement: string];

/** White space of Python's `\s`. */
const S = `[${PYTHON_SPACE}]*`;
/** A text between two marks, without white space around it. */
const inside = (open: string, other: string, close: string): RegExp =>
  new RegExp(`${open}${S}(${other}*?)${S}${close}`, 'g');

/** `wikitext_detokenizer`, in its order. */
const REPLACEMENTS: readonly Replacement[] = [
  ["s '", "s'"],
  [/\/' [0-9]\//g, "/'[0-9]/"],
  [' @-@ ', '-'],
  [' @,@ ', ','],
  [' @.@ ', '.'],
  [' : ', ': '],
  [' ; ', '; '],
  [' . ', '. '],
  [' ! ', '! '],
  [' ? ', '? '],
  [' , ', ', '],
  [inside('\\(', '[^)]', '\\)'), '($1)'],
  [inside('\\[', '[^\\]]', '\\]'), '[$1]'],
  [inside('\\{', '[^}]', '\\}'), '{$1}'],
  [inside('"', '[^"]', '"'), '"$1"'],
  [inside("'", "[^']", "'"), "'$1'"],
  ['= = = =', '===='],
  ['= = =', '==='],
  ['= =', '=='],
  [' \u00b0 ', '\u00b0'],
  [' \n', '\n'],
  ['\n ', '\n'],
  [' N ', ' 1 '],
  [" 's", "'s"],
];

const detokenized = (page: string): string =>
  REPLACEMENTS.reduce((text, [pattern, replacement]) => text.replaceAll(pattern, replacement), page);
