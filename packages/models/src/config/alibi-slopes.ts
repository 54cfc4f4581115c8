/**
 * ALiBi's slopes for n heads (Press et al. 2022): 2^(−8k/n), k = 1 … n, where n is a power of two. For
 * other n: the slopes of the next lower power of two, then every second slope of the next higher one.
 */
export function alibiSlopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const slopesOf = (n: number, count: number, step: number): number[] =>
    Array.from({ length: count }, (_, i) => 2 ** ((-8 * (1 + i * step)) / n));
  return [...slopesOf(power, power, 1), ...slopesOf(2 * power, heads - power, 2)];
}
