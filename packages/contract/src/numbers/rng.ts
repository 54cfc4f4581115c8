import { badArgument } from '../errors/errors.ts';
import { shownValue } from '../errors/shown-value.ts';

/**
 * A counter-based random number generator. Numbers are a pure function of (seed, name, counters), so resuming
 * needs no saved state.
 * Philox 2x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 */
export interface Rng {
  readonly key: number;
  /** A generator for one purpose: `rng.named('dropout')`. Equal names give equal streams. */
  named(name: string): Rng;
  /** Two 32-bit words for a pair of counters. */
  words(counter: number, counter2?: number): readonly [number, number];
  /** A number in [0, 1) with 24 random bits, exact in float32. */
  uniform(counter: number, counter2?: number): number;
  /** A standard normal number (Box–Muller). */
  normal(counter: number, counter2?: number): number;
}

const MULTIPLIER = 0xd256d193;
const KEY_STEP = 0x9e3779b9;
const ROUNDS = 10;

/** Philox 2x32-10: one block of 64 random bits, as [low, high] words. The C++ kernels compute the same. */
export function philox2x32(counter0: number, counter1: number, key: number): readonly [number, number] {
  let a = counter0 | 0;
  let b = counter1 | 0;
  let k = key | 0;
  for (let round = 0; round < ROUNDS; round++) {
    const low = Math.imul(MULTIPLIER, a);
    a = mulHigh(MULTIPLIER, a) ^ k ^ b;
    b = low;
    k = (k + KEY_STEP) | 0;
  }
  return [a >>> 0, b >>> 0];
}

/**
 * Upper 32 bits of a 32 × 32 bit product, as a signed number. 32-bit integer operations are 10× faster than
 * doubles.
 */
function mulHigh(x: number, y: number): number {
  const xl = x & 0xffff;
  const xh = x >>> 16;
  const yl = y & 0xffff;
  const yh = y >>> 16;
  const upper = (Math.imul(xh, yl) + (Math.imul(xl, yl) >>> 16)) | 0;
  const lower = (Math.imul(xl, yh) + (upper & 0xffff)) | 0; // both below 2^32
  return (Math.imul(xh, yh) + (upper >>> 16) + (lower >>> 16)) | 0;
}

/** FNV-1a over UTF-16 code units: turns a name into a key offset. */
function hashName(name: string, start: number): number {
  let h = (0x811c9dc5 ^ start) >>> 0;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return h;
}

/**
 * Makes a generator from a seed.
 *
 * @throws QdyloraError BAD_ARGUMENT for a seed that is not a whole number within 0…2⁵³ − 1: NaN would give
 * the numbers of seed 0, and 1.5 those of seed 1
 * @example createRng(7).named('rank').uniform(41); // number 41 of this stream, within [0, 1)
 */
export function createRng(seed: number): Rng {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw badArgument('seed', `the seed must be a whole number within 0…2⁵³ − 1 (got ${shownValue(seed)})`);
  return withKey(philox2x32(seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 0x5eed)[0]);
}

function withKey(key: number): Rng {
  const words = (counter: number, counter2 = 0): readonly [number, number] =>
    philox2x32(counter >>> 0, counter2 >>> 0, key);
  return {
    key,
    words,
    named: (name) => withKey(philox2x32(hashName(name, key), name.length, key)[0]),
    uniform: (counter, counter2) => (words(counter, counter2)[0] >>> 8) / 2 ** 24,
    normal: (counter, counter2) => {
      const [a, b] = words(counter, counter2);
      return Math.sqrt(-2 * Math.log((a + 1) / 2 ** 32)) * Math.cos((2 * Math.PI * b) / 2 ** 32);
    },
  };
}

/** A permutation of 0 … length−1 (Fisher–Yates), a pure function of the generator and `epoch`. */
export function shuffledIndices(length: number, rng: Rng, epoch = 0): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor((rng.words(i, epoch)[0] / 2 ** 32) * (i + 1));
    const swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
  }
  return order;
}
