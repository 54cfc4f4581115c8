import { badFile } from '../bad-file.ts';

/**
 * Limits of a JSON document, so that a hostile one costs neither seconds nor gigabytes: 16 MB of `{},{},…`
 * become 375 MB of values in 1.8 s, 16 MB of nested brackets 486 MB (Node 20, 2 cores of a Zen 4).
 */
export interface JsonLimits {
  readonly bytes: number;
  readonly depth: number;
  readonly objects: number;
  readonly lists: number;
  readonly keys: number;
  readonly values: number;
}

/** Limits of a config or an adapter's config; real ones have a few KiB. */
export const CONFIG_LIMITS: JsonLimits = {
  bytes: 4 * 2 ** 20,
  depth: 64,
  objects: 65_536,
  lists: 65_536,
  keys: 262_144,
  values: 524_288,
};

/** Limits of a shard index; the largest known one, of 91,991 tensors, has 9 MB. */
export const INDEX_LIMITS: JsonLimits = {
  bytes: 16 * 2 ** 20,
  depth: 8,
  objects: 64,
  lists: 64,
  keys: 262_144,
  values: 262_144,
};

/**
 * Limits of a `tokenizer.json`; Gemma 3's has 33 MB, 262,144 tokens in the vocabulary, 514,906 merges that
 * are lists of two, and 6,415 added tokens of seven keys.
 */
export const TOKENIZER_LIMITS: JsonLimits = {
  bytes: 64 * 2 ** 20,
  depth: 64,
  objects: 131_072,
  lists: 1_048_576,
  keys: 1_048_576,
  values: 3_145_728,
};

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Checks the limits before parsing. @throws QdyloraError BAD_FILE for a document beyond a limit */
export function assertJsonLimits(path: string, format: string, text: string, limits: JsonLimits): void {
  const refuse = (counted: string, most: number): never => {
    throw badFile({ format, path, problem: `The JSON has more than ${most} ${counted}.` });
  };
  let depth = 0;
  let objects = 0;
  let lists = 0;
  let keys = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case COMMA:
        if (++values > limits.values) refuse('values', limits.values);
        break;
      case COLON:
        if (++keys > limits.keys) refuse('keys', limits.keys);
        break;
      case OPEN_OBJECT:
        if (++objects > limits.objects) refuse('objects', limits.objects);
        if (++depth > limits.depth) refuse('levels', limits.depth);
        break;
      case OPEN_LIST:
        if (++lists > limits.lists) refuse('lists', limits.lists);
        if (++depth > limits.depth) refuse('levels', limits.depth);
        break;
      case CLOSE_OBJECT:
      case CLOSE_LIST:
        depth--;
        break;
      default:
    }
  }
}

/** The end of the string that begins at `at`; the end of the text if it is not closed. */
function endOfString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}
