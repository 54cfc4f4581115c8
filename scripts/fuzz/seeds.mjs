// Valid files that the fuzzer begins with, where the packages' fixtures have none.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** A tokenizer.json of byte-level BPE. */
export const TOKENIZER = JSON.stringify({
  version: '1.0',
  added_tokens: [{ id: 3, content: '<s>', special: true }],
  normalizer: { type: 'NFC' },
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: {
    type: 'BPE',
    unk_token: null,
    byte_fallback: false,
    vocab: { a: 0, b: 1, ab: 2, '<s>': 3 },
    merges: [['a', 'b']],
  },
});
/** A tokenizer.json of a unigram model. */
export const UNIGRAM = JSON.stringify({
  version: '1.0',
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  post_processor: null,
  decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true },
  model: {
    type: 'Unigram',
    unk_id: 0,
    byte_fallback: false,
    vocab: [
      ['<unk>', 0],
      ['▁a', -1],
      ['b', -2],
      ['ab', -1.5],
    ],
  },
});
/** Files of rows in every format, with byte order marks, other line ends and surrogates. */
export const ROWS = [
  '{"instruction":"a","input":"","output":"b"}\n{"instruction":"c","output":"d"}\n',
  '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n',
  '{"input_ids":[1,2,3],"labels":[-100,2,3]}\r\n',
  '[{"text":"a b"},\n {"text":"ab"}]',
  '\ufeff{"question":"a","answer":"b"}\n{"question":"\\ud83d\\ude00","answer":"b"}',
];
export const TALK = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b' },
];

/** A template with every construct that the language has. */
const EVERY_CONSTRUCT = [
  "{%- if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}",
  '{% set ns = namespace(n=0) %}',
  "{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ bos_token }}{{ m['role'] | upper }}: ",
  '{{ m.content | trim }}{{ eos_token }}\n{% generation %}x{% endgeneration %}{% endfor %}',
  "{% if add_generation_prompt %}{{ 'assistant' ~ ns.n }}{% endif %}",
  "{% macro f(x) %}{{ x[1:] }}{% endmacro %}{{ f('abc') }}",
].join('');

/** Templates of real models: those in the tokenizers' golden files. */
export function templatesOf(fixtures) {
  const place = join(fixtures, '../../data/fixtures');
  const found = readdirSync(place)
    .filter((name) => name.endsWith('.expected.json'))
    .flatMap((name) => JSON.parse(readFileSync(join(place, name), 'utf8')).chat_template ?? []);
  const written = readdirSync(place)
    .filter((name) => name.endsWith('.tokenizer.json.gz'))
    .map((name) => JSON.parse(gunzipSync(readFileSync(join(place, name))).toString('utf8')).chat_template)
    .filter((text) => typeof text === 'string');
  return [...found.filter((text) => typeof text === 'string'), ...written, EVERY_CONSTRUCT];
}
