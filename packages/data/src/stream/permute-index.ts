import { assertArgument, type Rng } from '@qdylora/contract';

/**
 * Number of rounds. Even, so that both halves return to their own widths. Four rounds make a Feistel network
 * a good cipher (Luby and Rackoff, 1988); small domains need more.
 */
const ROUNDS = 8;

/**
 * The smallest domain of the network, in bits. Over a few numbers a network is not a random permutation: over
 * 20,000 epochs of 5 rows, some orders occurred three times as often as others.
 */
const SMALLEST_DOMAIN_BITS = 6;

/**
 * A permutation of 0 … length−1 as a function of one index. Nothing is stored, so ordering a billion rows
 * costs no memory.
 * A Feistel network with Philox as round function over the next power of two, iterated until the value falls
 * below `length` (cycle walking: Black and Rogaway, 2002): fewer than two iterations on average beyond 64
 * rows. A pure function of (rng, epoch, index).
 *
 * @throws QdyloraError BAD_ARGUMENT for a length that is not a whole number from 0 to 2^48.
 * @example
 * const at = permuteIndex(5, createRng(7));
 * [0, 1, 2, 3, 4].map(at); // each of 0…4 once
 */
export function permuteIndex(length: number, rng: Rng, epoch = 0): (index: number) => number {
  assertArgument(
    Number.isSafeInteger(length) && length >= 0 && length <= 2 ** 48,
    'permute-index',
    `A length must be a whole number in 0…2^48 (got ${length})`,
  );
  const bits = Math.max(SMALLEST_DOMAIN_BITS, Math.ceil(Math.log2(Math.max(1, length))));
  const low = Math.ceil(bits / 2);
  const high = bits - low;
  const network = feistel(rng, epoch, high, low);
  return (index) => {
    assertArgument(
      Number.isInteger(index) && index >= 0 && index < length,
      'permute-index',
      `The index must be in 0…${length - 1} (got ${index})`,
    );
    let at = network(index);
    while (at >= length) at = network(at);
    return at;
  };
}

/** A bijection on numbers of `high + low` bits. The halves, and their widths, are swapped in each round. */
function feistel(rng: Rng, epoch: number, high: number, low: number): (value: number) => number {
  return (value) => {
    let left = Math.floor(value / 2 ** low);
    let right = value % 2 ** low;
    let width = high;
    for (let round = 0; round < ROUNDS; round++) {
      const mixed = (left ^ (rng.words(right, epoch * ROUNDS + round)[0] % 2 ** width)) >>> 0;
      left = right;
      right = mixed;
      width = high + low - width;
    }
    return left * 2 ** low + right;
  };
}
