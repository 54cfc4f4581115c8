import { badArgument } from '@qdylora/contract';

/**
 * Packs two codes a byte: the even element in the high nibble. An odd number is padded with `padding`.
 *
 * codes: [n] → [(n + 1) >> 1]
 *
 * @throws QdyloraError BAD_ARGUMENT for a code that is not in 0 … 15
 */
export function packNibbles(codes: ArrayLike<number>, padding = 0): Uint8Array {
  const packed = new Uint8Array((codes.length + 1) >>> 1);
  for (let i = 0; i < codes.length; i += 2) {
    const high = codes[i];
    const low = i + 1 < codes.length ? codes[i + 1] : padding;
    if (((high | low) & ~15) !== 0)
      throw badArgument('pack-nibbles', `a code must be 0 … 15 (got ${high} and ${low} from ${i} on)`);
    packed[i >>> 1] = (high << 4) | low;
  }
  return packed;
}

/** Code `i` of a packed array. */
export const nibbleAt = (packed: Uint8Array, i: number): number => (packed[i >>> 1] >> (i & 1 ? 0 : 4)) & 15;

/** The first `count` codes of a packed array, one a byte. */
export function unpackNibbles(packed: Uint8Array, count: number): Uint8Array {
  const codes = new Uint8Array(count);
  for (let i = 0; i < count; i++) codes[i] = nibbleAt(packed, i);
  return codes;
}
