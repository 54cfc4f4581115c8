/**
 * Scale and min number `j` of eight, out of the twelve bytes at `at`: 0…3 lie in the low six bits; 4…7 have
 * four bits there and two on top of pair j − 4.
 */
export function sixBitPair(bytes: Uint8Array, at: number, j: number): readonly [scale: number, min: number] {
  if (j < 4) return [bytes[at + j] & 63, bytes[at + j + 4] & 63];
  const low = bytes[at + j + 4];
  return [(low & 15) | ((bytes[at + j - 4] >> 6) << 4), (low >> 4) | ((bytes[at + j] >> 6) << 4)];
}
