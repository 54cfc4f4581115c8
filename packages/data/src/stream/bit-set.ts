/** Bits per stored count; a select scans at most this many. */
const BITS_PER_COUNT = 2048;
const WORDS_PER_COUNT = BITS_PER_COUNT / 32;

/** A growing list of bits, one per row. */
export interface BitSet {
  readonly length: number;
  push(bit: boolean): void;
  clear(index: number): void;
  has(index: number): boolean;
  /** The positions of the set bits. Later changes are not included. */
  ones(): SortedPlaces;
}

/** Ascending positions, without one stored number for each. */
export interface SortedPlaces {
  readonly length: number;
  /** The position of the `k`-th set bit, from 0. */
  at(k: number): number;
}

export function createBitSet(): BitSet {
  let words = new Uint32Array(1024);
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(bit) {
      if (length === words.length * 32) words = doubled(words);
      if (bit) words[length >>> 5] |= 1 << (length & 31);
      length++;
    },
    clear(index) {
      words[index >>> 5] &= ~(1 << (index & 31));
    },
    has: (index) => index < length && ((words[index >>> 5] >>> (index & 31)) & 1) === 1,
    ones: () => placesOf(words.slice(0, Math.ceil(length / 32))),
  };
}

function placesOf(words: Uint32Array): SortedPlaces {
  // counts[i]: set bits before word i · WORDS_PER_COUNT
  const counts = new Float64Array(Math.ceil(words.length / WORDS_PER_COUNT) + 1);
  words.forEach((word, i) => {
    counts[Math.floor(i / WORDS_PER_COUNT) + 1] += bitCount(word);
  });
  for (let i = 1; i < counts.length; i++) counts[i] += counts[i - 1];
  return {
    length: counts.at(-1)!,
    at(k) {
      const group = lastAtMost(counts, k);
      let left = k - counts[group];
      let word = group * WORDS_PER_COUNT;
      for (let ones = bitCount(words[word]); ones <= left; ones = bitCount(words[word])) {
        left -= ones;
        word++;
      }
      return word * 32 + nthBit(words[word], left);
    },
  };
}

/** Index of the last entry of an ascending list that is at most `value`. */
function lastAtMost(rising: Float64Array, value: number): number {
  let from = 0;
  let to = rising.length - 1;
  while (to - from > 1) {
    const middle = (from + to) >>> 1;
    if (rising[middle] <= value) from = middle;
    else to = middle;
  }
  return from;
}

function nthBit(word: number, n: number): number {
  let rest = word;
  for (let i = 0; i < n; i++) rest &= rest - 1; // clears the lowest set bit
  return 31 - Math.clz32(rest & -rest);
}

/** Set bits of a word, by halves, quarters and bytes (Warren, Hacker's Delight, 5-1). */
function bitCount(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function doubled(words: Uint32Array): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(words.length * 2);
  more.set(words);
  return more;
}
