const DECADES = 7;

/**
 * The signed dynamic map: 127 negative levels, zero at code 127, 128 positive ones, from −0.993 to 1. It
 * stores the scales of 4-bit blocks and Adam's m.
 */
export const signedDynamicMap = (): Float32Array => dynamicMap([1, -1], 1);

/**
 * The unsigned dynamic map: zero at code 0, then 255 positive levels from 3.25e-7 to 1. It stores Adam's v.
 */
export const unsignedDynamicMap = (): Float32Array => dynamicMap([1], 2);

/**
 * 256 sorted levels (Dettmers et al. 2022, section 2.1). Each decade 10⁻⁶ … 1 has twice as many cells on
 * [0.1, 1] · decade as the one before, and the levels are the midpoints of the cells. 0 and 1 are added.
 *
 * The arithmetic follows the vectorised float32 `linspace` of PyTorch step by step (fused multiply-add,
 * second half counted back from 1, float32 decade), so the tables equal those of bitsandbytes bit for bit.
 * The exact formula would change 72 of the 256 signed levels and 100 of the unsigned.
 */
function dynamicMap(signs: readonly number[], cellsOfSmallestDecade: number): Float32Array {
  const levels = new Float32Array(256); // two of them stay: 0 and 1
  let count = 1;
  levels[0] = 1;
  for (let decade = 0; decade < DECADES; decade++) {
    const cells = cellsOfSmallestDecade * 2 ** decade;
    const scale = Math.fround(1 / 10 ** (DECADES - 1 - decade));
    for (let cell = 0; cell < cells; cell++) {
      const middle = Math.fround((cellEdge(cell, cells) + cellEdge(cell + 1, cells)) / 2);
      for (const sign of signs) levels[count++] = sign * Math.fround(middle * scale);
    }
  }
  return levels.sort();
}

const FIRST_EDGE = Math.fround(0.1);
const WIDTH = Math.fround(1 - FIRST_EDGE);

/**
 * Edge i of `cells` equal cells on [0.1, 1]. A float64 sum of an exact float64 product, rounded once, equals
 * a float32 fused multiply-add.
 */
function cellEdge(i: number, cells: number): number {
  const step = Math.fround(WIDTH / cells);
  return Math.fround(i < Math.floor((cells + 1) / 2) ? FIRST_EDGE + step * i : 1 - step * (cells - i));
}
