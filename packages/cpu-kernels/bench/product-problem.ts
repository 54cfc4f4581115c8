import { hostData, elementCount, type ArrayView } from '@qdylora/contract';
import { NESTED_BLOCK_SIZE, NF4_LEVELS, type QuantizedInputs } from '@qdylora/quant';
import { EPSILON, normalView, packedWeight } from '@qdylora/testing';

/** One 4-bit matrix, or several of one width that share their input (q, k, v; gate, up). */
export interface ProductShape {
  readonly rows: readonly number[];
  readonly cols: number;
}

export const shapeName = ({ rows, cols }: ProductShape): string => `${rows.join('+')}x${cols}`;

/** `576+192+192x576` → its rows and columns. @throws where it is no such text. */
export function readShape(text: string): ProductShape {
  const match = /^(\d+(?:\+\d+)*)x(\d+)$/.exec(text);
  if (!match || Number(match[2]) % 64 !== 0)
    throw new Error(
      `a shape must be like 2048x2048 or 576+192+192x576, columns a multiple of 64 (got ${text})`,
    );
  return { rows: match[1].split('+').map(Number), cols: Number(match[2]) };
}

export const NESTED_OFFSET = Math.fround(0.03);
export const BLOCK_SIZE = 64;

/** The weights of a shape, and the rows of numbers that products with them take. */
export interface ProblemData {
  readonly shape: ProductShape;
  readonly total: number;
  readonly weights: readonly QuantizedInputs[];
  /** What a rival reads: all codes, one after another, and the decoded scales. */
  readonly codes: Uint8Array;
  readonly scales: Float32Array;
  /** x: [most tokens, cols]  dy: [most tokens, all rows] */
  readonly x: ArrayView<'f32'>;
  readonly dy: ArrayView<'f32'>;
}

export type Direction = 'forward' | 'backward';

/** The product of some of the rows with the weights. */
export interface Product {
  readonly data: ProblemData;
  readonly direction: Direction;
  readonly tokens: number;
}

export function makeProblem(shape: ProductShape, mostTokens: number): ProblemData {
  const weights = shape.rows.map((rows, i) =>
    packedWeight(i + 1, [rows, shape.cols], { blockSize: BLOCK_SIZE }),
  );
  const total = shape.rows.reduce((sum, rows) => sum + rows, 0);
  return {
    shape,
    total,
    weights,
    codes: joined(
      weights.map(({ codes }) => hostData(codes)),
      Uint8Array,
    ),
    scales: joined(weights.map(scalesOf), Float32Array),
    x: normalView(1, 'x', [mostTokens, shape.cols]),
    dy: normalView(1, 'dy', [mostTokens, total]),
  };
}

/** Decoded here, not by the code that is measured. */
function scalesOf({ absmaxCodes, nestedAbsmax, nestedMap }: QuantizedInputs): Float32Array {
  return Float32Array.from(
    hostData(absmaxCodes!).subarray(0, elementCount(absmaxCodes!.shape)),
    (code, block) =>
      Math.fround(
        hostData(nestedMap!)[code] * hostData(nestedAbsmax!)[Math.floor(block / NESTED_BLOCK_SIZE)],
      ) + NESTED_OFFSET,
  );
}

function joined<T extends Uint8Array | Float32Array>(
  parts: readonly T[],
  Type: new (length: number) => T,
): T {
  const all = new Type(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** How exactly somebody computes: float32 throughout; operands in bf16; operands and results in bf16. */
export type Exactness = 'f32' | 'bf16' | 'bf16 throughout';

/**
 * Relative to Σ|x·w|: roundings of operands (2⁻⁸ each), of results and partial sums (2⁻⁸ each), and one of
 * 2⁻²⁴ per product and addition of a sum.
 */
const allowed = (exactness: Exactness, depth: number): number =>
  (depth + 6) * EPSILON + { f32: 0, bf16: 2 * 2 ** -8 + 2 ** -16, 'bf16 throughout': 5 * 2 ** -8 }[exactness];

/** Elements that are checked, corners among them: each costs a sum of the whole depth in JavaScript. */
const CHECKED = 400;

/**
 * Compares some elements of a product with sums in float64, from the packed numbers.
 * answer: [tokens, all rows] (forward) or [tokens, cols].
 *
 * @throws where one is farther away than the roundings allow.
 */
export function checkProduct(
  who: string,
  { data, direction, tokens }: Product,
  { answer, exactness }: { readonly answer: Float32Array; readonly exactness: Exactness },
): void {
  const { shape, total, codes, scales, x, dy } = data;
  const { cols } = shape;
  const forward = direction === 'forward';
  const width = forward ? total : cols;
  const depth = forward ? cols : total;
  const limit = allowed(exactness, depth);
  const weight = (row: number, col: number): number => {
    const at = row * cols + col;
    const pair = codes[at >> 1];
    return NF4_LEVELS[at & 1 ? pair & 15 : pair >> 4] * scales[Math.floor(at / BLOCK_SIZE)];
  };
  if (answer.length !== tokens * width)
    throw new Error(`${who} ${shapeName(shape)} has ${answer.length} numbers instead of ${tokens * width}`);
  for (let i = 0; i < CHECKED; i++) {
    const at = i < 2 ? [0, answer.length - 1][i] : (i * 7_919_777) % answer.length;
    const token = Math.floor(at / width);
    const out = at % width;
    let sum = 0;
    let magnitude = 0;
    for (let k = 0; k < depth; k++) {
      const product = forward
        ? hostData(x)[token * cols + k] * weight(out, k)
        : hostData(dy)[token * total + k] * weight(k, out);
      sum += product;
      magnitude += Math.abs(product);
    }
    if (!(Math.abs(answer[at] - sum) <= limit * magnitude))
      throw new Error(
        `${who}, ${forward ? 'forward' : 'input gradient'} of ${tokens} x ${shapeName(shape)}: element ` +
          `${at} is ${answer[at]}, but must be ${sum} ± ${limit * magnitude}`,
      );
  }
}
