const STATE_LENGTH = 624;
const SHIFT_LENGTH = 397;
const UPPER_BIT = 0x80000000;
const LOWER_BITS = 0x7fffffff;
const TWIST = 0x9908b0df;

/** CPython's `random.Random`, bit for bit. Its state moves with every draw. */
export interface PythonRandom {
  /** `random()`: a number in [0, 1) of 53 bits. */
  random(): number;
  /** `sample(population, k)`: k different elements, in the order drawn. */
  sample<T>(population: readonly T[], k: number): T[];
  /** `choices(population, k=k)`: k elements, drawn independently. */
  choices<T>(population: readonly T[], k: number): T[];
}

/**
 * `random.Random(seed)` of CPython 3: the Mersenne Twister MT19937 (Matsumoto and Nishimura, 1998), seeded by
 * `init_by_array`, with the algorithms of `sample` and `choices` of CPython 3.11.
 *
 * @param seed a whole number from 0 to 2^32 − 1
 * @example
 * createPythonRandom(1234).sample([0, 1, 2, 3], 2); // [3, 0]
 */
export function createPythonRandom(seed: number): PythonRandom {
  const nextWord = createTwister(seed);
  const random = (): number => {
    const high = nextWord() >>> 5;
    const low = nextWord() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  };
  /** A whole number below n, of as few bits as n has. */
  const below = (n: number): number => {
    const shift = Math.clz32(n);
    for (;;) {
      const drawn = nextWord() >>> shift;
      if (drawn < n) return drawn;
    }
  };
  return {
    random,
    sample: (population, k) => sampleFrom(population, k, below),
    choices: (population, k) =>
      Array.from({ length: k }, () => population[Math.floor(random() * population.length)]),
  };
}

/** Draws by swapping in a copy where the population is small, else by rejecting repeated indices. */
function sampleFrom<T>(population: readonly T[], k: number, below: (n: number) => number): T[] {
  const count = population.length;
  if (k > count) throw new RangeError(`Sample larger than population: ${k} of ${count}`);
  // A copy of n references takes as much memory as a set of this many.
  const setSize = 21 + (k > 5 ? 4 ** Math.ceil(Math.log(k * 3) / Math.log(4)) : 0);
  if (count <= setSize) {
    const pool = [...population];
    return Array.from({ length: k }, (_, i) => {
      const index = below(count - i);
      const drawn = pool[index];
      pool[index] = pool[count - i - 1];
      return drawn;
    });
  }
  const drawnIndices = new Set<number>();
  while (drawnIndices.size < k) drawnIndices.add(below(count));
  return [...drawnIndices].map((index) => population[index]);
}

/** Words of 32 bits of the Mersenne Twister. */
function createTwister(seed: number): () => number {
  const state = seededState(seed);
  let index = STATE_LENGTH;
  return () => {
    if (index === STATE_LENGTH) {
      regenerate(state);
      index = 0;
    }
    let word = state[index++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  };
}

function regenerate(state: Uint32Array): void {
  for (let i = 0; i < STATE_LENGTH; i++) {
    const word = (state[i] & UPPER_BIT) | (state[(i + 1) % STATE_LENGTH] & LOWER_BITS);
    state[i] = state[(i + SHIFT_LENGTH) % STATE_LENGTH] ^ (word >>> 1) ^ (word & 1 ? TWIST : 0);
  }
}

/** `init_by_array([seed])` of the reference implementation. */
function seededState(seed: number): Uint32Array {
  const state = new Uint32Array(STATE_LENGTH);
  state[0] = 19650218;
  for (let i = 1; i < STATE_LENGTH; i++) state[i] = mixed(state, i - 1, 1812433253) + i;
  let i = 1;
  const advance = (): void => {
    if (++i < STATE_LENGTH) return;
    state[0] = state[STATE_LENGTH - 1];
    i = 1;
  };
  for (let k = 0; k < STATE_LENGTH; k++) {
    state[i] = (state[i] ^ mixed(state, i - 1, 1664525)) + seed;
    advance();
  }
  for (let k = 1; k < STATE_LENGTH; k++) {
    state[i] = (state[i] ^ mixed(state, i - 1, 1566083941)) - i;
    advance();
  }
  state[0] = UPPER_BIT;
  return state;
}

const mixed = (state: Uint32Array, at: number, factor: number): number =>
  Math.imul(state[at] ^ (state[at] >>> 30), factor);
