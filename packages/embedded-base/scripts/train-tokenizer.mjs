/**
 * Trains a byte-level BPE tokenizer on a text and writes tokenizer.json and tokenizer_config.json.
 *
 *     node scripts/train-tokenizer.mjs corpus/corpus.txt model 4096
 *
 * Digits stand alone; everything else is split as GPT-2 splits it. The most frequent pair is merged first; of
 * equals the one that sorts first.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const [, , corpus, folder, size] = process.argv;
const vocabularySize = Number(size);
const END = '<|endoftext|>';
const WORDS = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** GPT-2's printable letter for each byte. */
const letters = (() => {
  const plain = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCodePoint(plain(b) ? b : next++));
})();

/** Every distinct word as byte letters, with its count. */
function wordCounts(text) {
  const counts = new Map();
  for (const piece of text.split(/(\p{N})/u))
    for (const [word] of piece.matchAll(WORDS)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => ({
    symbols: [...Buffer.from(word)].map((b) => letters[b]),
    count,
  }));
}

function learnMerges(words, wanted) {
  const merges = [];
  const pairs = new Map(); // pair → { count, words that hold it }
  const touch = (word, sign) => {
    for (let i = 0; i + 1 < word.symbols.length; i++) {
      const key = `${word.symbols[i]} ${word.symbols[i + 1]}`;
      const pair = pairs.get(key) ?? { count: 0, words: new Set() };
      pair.count += sign * word.count;
      if (sign > 0) pair.words.add(word);
      pairs.set(key, pair);
    }
  };
  for (const word of words) touch(word, 1);
  while (merges.length < wanted) {
    let best = null;
    let most = 1;
    for (const [key, { count }] of pairs)
      if (count > most || (count === most && best !== null && key < best)) {
        best = key;
        most = count;
      }
    if (best === null) break;
    const [left, right] = best.split(' ');
    const holders = [...pairs.get(best).words];
    for (const word of holders) {
      touch(word, -1);
      const merged = [];
      for (let i = 0; i < word.symbols.length; i++) {
        const joins = word.symbols[i] === left && word.symbols[i + 1] === right;
        merged.push(joins ? left + right : word.symbols[i]);
        if (joins) i++;
      }
      word.symbols = merged;
      touch(word, 1);
    }
    pairs.delete(best);
    merges.push([left, right]);
  }
  return merges;
}

const merges = learnMerges(wordCounts(readFileSync(corpus, 'utf8')), vocabularySize - 257);
const tokens = [END, ...letters.slice().sort(), ...merges.map(([a, b]) => a + b)];
const tokenizer = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    {
      id: 0,
      content: END,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    },
  ],
  normalizer: null,
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      { type: 'Digits', individual_digits: true },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    ],
  },
  post_processor: null,
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges,
  },
};
writeFileSync(`${folder}/tokenizer.json`, `${JSON.stringify(tokenizer)}\n`);
const tokenizerConfig = {
  tokenizer_class: 'PreTrainedTokenizerFast',
  bos_token: END,
  eos_token: END,
  pad_token: END,
  model_max_length: 512,
  clean_up_tokenization_spaces: false,
};
writeFileSync(`${folder}/tokenizer_config.json`, `${JSON.stringify(tokenizerConfig, null, 2)}\n`);
console.log(`${tokens.length} tokens, ${merges.length} merges`);
