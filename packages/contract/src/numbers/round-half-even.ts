/** The nearest whole number, ties to even, as processors round. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const fraction = x - down;
  return fraction > 0.5 || (fraction === 0.5 && down % 2 !== 0) ? down + 1 : down;
}
