import { BPE, type Tokenizer } from '@huggingface/tokenizers';
import { MAX_TOKEN_ID } from '../check-tokenizer-json.ts';

/** Length of a long word, in UTF-16 units. The library is fast on shorter words, and caches them whole. */
const LONG_WORD = 256;

/** Ids and ranks are below this (`checkTokenizerJson` checks it): two of them fit in one exact number. */
const ID = MAX_TOKEN_ID;

/**
 * Replaces byte pair encoding of long words by an implementation over typed arrays. The tokens are the same
 * as the library's, which creates an object and a JSON text for every pair. A word of 160,000 spaces took the
 * library 18 s with SmolLM2's vocabulary on a busy machine; this takes O(n log n) with a small constant.
 */
export function mergeLongWords({ model }: Tokenizer): void {
  if (!(model instanceof BPE) || model.end_of_word_suffix || model.continuing_subword_suffix) return;
  const short = model.bpe.bind(model);
  let merges: Merges | null = null; // computed for the first long word
  model.bpe = (word) => {
    if (word.length <= LONG_WORD) return short(word);
    merges ??= mergesOf(model);
    return mergeWord(Array.from(word), merges);
  };
}

interface Merges {
  readonly ids: ReadonlyMap<string, number>;
  readonly texts: readonly string[];
  /** left · 2^24 + right → rank · 2^24 + joint */
  readonly joints: ReadonlyMap<number, number>;
}

function mergesOf(model: BPE): Merges {
  const ids = model.tokens_to_ids;
  const joints = new Map<number, number>();
  model.merges.forEach(([left, right], rank) => {
    const key = ids.get(left)! * ID + ids.get(right)!;
    // the last rank of a duplicate pair counts, as in the library
    joints.set(key, rank * ID + ids.get(left + right)!);
  });
  return { ids, texts: model.vocab, joints };
}

/**
 * Joins the pair of the lowest rank, leftmost first, until none is left. `next` and `before` link the
 * remaining symbols.
 */
function mergeWord(characters: readonly string[], { ids, texts, joints }: Merges): string[] {
  const n = characters.length;
  const symbols = Int32Array.from(characters, (character) => ids.get(character) ?? -1);
  const next = Int32Array.from({ length: n }, (_, i) => i + 1);
  const before = Int32Array.from({ length: n }, (_, i) => i - 1);
  const heap = pairHeap();
  const jointAt = (at: number): number | undefined => {
    const right = next[at];
    return right < n && symbols[at] >= 0 && symbols[right] >= 0
      ? joints.get(symbols[at] * ID + symbols[right])
      : undefined;
  };
  const offer = (at: number): void => {
    const joint = jointAt(at);
    if (joint !== undefined) heap.push(Math.floor(joint / ID), at);
  };
  for (let at = 0; at < n - 1; at++) offer(at);
  for (let pair = heap.pop(); pair; pair = heap.pop()) {
    const { rank, at } = pair;
    const joint = symbols[at] === GONE ? undefined : jointAt(at);
    // one of the two has already been joined
    if (joint === undefined || Math.floor(joint / ID) !== rank) continue;
    const right = next[at];
    const behind = next[right];
    symbols[at] = joint % ID;
    symbols[right] = GONE;
    next[at] = behind;
    if (behind < n) before[behind] = at;
    if (before[at] >= 0) offer(before[at]);
    offer(at);
  }
  const merged: string[] = [];
  for (let at = 0; at < n; at = next[at]) merged.push(symbols[at] >= 0 ? texts[symbols[at]] : characters[at]);
  return merged;
}

const GONE = -2;

/** A binary heap of pairs, the lowest rank first, then the leftmost. */
function pairHeap(): {
  push(rank: number, at: number): void;
  pop(): { rank: number; at: number } | undefined;
} {
  const keys: number[] = []; // rank · 2^29 + place; a string has fewer than 2^29 characters
  const swap = (a: number, b: number): void => {
    const key = keys[a];
    keys[a] = keys[b];
    keys[b] = key;
  };
  return {
    push(rank, at) {
      let i = keys.push(rank * PLACES + at) - 1;
      for (let parent = (i - 1) >> 1; i > 0 && keys[parent] > keys[i]; parent = (i - 1) >> 1) {
        swap(i, parent);
        i = parent;
      }
    },
    pop() {
      const top = keys[0];
      const last = keys.pop();
      if (top === undefined || last === undefined) return undefined;
      if (keys.length > 0) {
        keys[0] = last;
        for (let i = 0; ;) {
          const left = 2 * i + 1;
          const right = left + 1;
          const least = right < keys.length && keys[right] < keys[left] ? right : left;
          if (left >= keys.length || keys[least] >= keys[i]) break;
          swap(i, least);
          i = least;
        }
      }
      return { rank: Math.floor(top / PLACES), at: top % PLACES };
    },
  };
}

const PLACES = 2 ** 29;
