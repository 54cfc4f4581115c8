/** Sums over the weights of each of the 16 codes, for a least-squares table. */
export interface CodeSums {
  /** Σ scale · weight: [16] */
  readonly products: Float64Array;
  /** Σ scale²: [16] */
  readonly squares: Float64Array;
}

/**
 * The NF4 codes 6, 7 and 8 (levels −0.09, 0 and 0.08) are always one group, whose value is near 0.
 *
 * Groups without this rule have a smaller squared error, but shift all weights near 0 in one direction, and a
 * sum over many such weights does not cancel the shifts. SmolLM2-135M has a loss of 6.02 with groups of two
 * codes and of 4.88 with this rule (4.08 in NF4; bench/results/quantization-levels.md).
 */
const ZERO_GROUP = { begin: 6, end: 9 } as const;

/**
 * The codebook of 16 entries with `count` different values, for the least Σ (weight − scale · level)².
 *
 * Neighbouring codes share a value: level = Σ products / Σ squares over the codes of its group. The groups
 * are the best of all contiguous ones around the zero group, by dynamic programming: a group lowers the error
 * by (Σ products)² / Σ squares.
 *
 * @returns [16], by code; codes without a weight take the value of their group
 */
export function mergeLevels(sums: CodeSums, count: number): Float32Array {
  const codes = sums.squares.length;
  const gain = (from: number, to: number): number => {
    const isZeroGroup = from === ZERO_GROUP.begin && to === ZERO_GROUP.end;
    if (from < ZERO_GROUP.end && to > ZERO_GROUP.begin && !isZeroGroup) return -Infinity;
    const { product, square } = sumOf(sums, from, to);
    return square > 0 ? (product * product) / square : 0;
  };
  // best[g][end]: the largest gain of the first `end` codes in g groups
  // begins[g][end]: where the last of these groups begins
  const best = [Float64Array.from({ length: codes + 1 }, (_, end) => (end === 0 ? 0 : -Infinity))];
  const begins = [new Uint8Array(codes + 1)];
  for (let groups = 1; groups <= count; groups++) {
    best.push(new Float64Array(codes + 1).fill(-Infinity));
    begins.push(new Uint8Array(codes + 1));
    for (let end = groups; end <= codes; end++)
      for (let begin = groups - 1; begin < end; begin++) {
        const total = best[groups - 1][begin] + gain(begin, end);
        if (total <= best[groups][end]) continue;
        best[groups][end] = total;
        begins[groups][end] = begin;
      }
  }
  const levels = new Float32Array(codes);
  for (let groups = count, end = codes; groups > 0; groups--) {
    const begin = begins[groups][end];
    const { product, square } = sumOf(sums, begin, end);
    levels.fill(square > 0 ? product / square : 0, begin, end);
    end = begin;
  }
  return levels;
}

function sumOf(
  { products, squares }: CodeSums,
  from: number,
  to: number,
): { readonly product: number; readonly square: number } {
  let product = 0;
  let square = 0;
  for (let code = from; code < to; code++) {
    product += products[code];
    square += squares[code];
  }
  return { product, square };
}
