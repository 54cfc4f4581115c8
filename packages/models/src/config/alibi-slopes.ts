/**
 * ALiBi's slopes: 2^(−8k/n) for k = 1 … n heads, n a power of two; for other counts those of the power of two
 * below, then every second one of the power above. (Press et al. 2022)
 */
export function alibiSlopes(heads: number): number[] {
  const power = 2 ** Math.floor(Math.log2(heads));
  const slopesOf = (n: number, count: number, step: number): number[] =>
    Array.from({ length: count }, (_, i) => 2 ** ((-8 * (1 + i * step)) / n));
  return [...slopesOf(power, power, 1), ...slopesOf(2 * power, heads - power, 2)];
}
