import { memoryByteSource, safetensorsOf } from '@qdylora/checkpoint';
import { createRng, hostData, type Rng } from '@qdylora/contract';
import { dequantize4bit, NF4_LEVELS, quantizeNf4 } from '@qdylora/quant';

export const DISTRIBUTIONS = ['normal', 'uniform', 'heavy tails', 'with outliers'] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

export interface Nf4Request {
  readonly distribution: Distribution;
  /** Bytes of a safetensors file, in place of a distribution. */
  readonly file?: Uint8Array;
  readonly blockSize: number;
  readonly doubleQuantization: boolean;
}

export interface Nf4Facts {
  /** What was quantized. */
  readonly name: string;
  readonly weights: number;
  readonly bitsPerWeight: number;
  readonly byteLength: number;
  /** Root of the mean squared error, over the root of the mean square of the weights. */
  readonly relativeError: number;
  readonly largestError: number;
  /** Share of the weights at each of the 16 levels. */
  readonly levelShares: readonly number[];
  readonly levels: readonly number[];
  /** Share of the errors in each bin from −largestError to largestError. */
  readonly errorShares: readonly number[];
}

const ROWS = 256;
const COLUMNS = 512;
/** A page must stay quick: more weights of a file are not read. */
const MOST_WEIGHTS = 2 ** 20;
const BINS = 41;

/** Quantizes a matrix to NF4 and says what became of it. */
export function nf4Facts({ distribution, file, blockSize, doubleQuantization }: Nf4Request): Nf4Facts {
  const { name, data, shape } = file ? matrixOf(file) : drawn(distribution);
  const packed = quantizeNf4({ data, shape }, { blockSize: blockSize as 64, doubleQuantization });
  const restored = dequantize4bit(packed);
  const errors = restored.map((value, i) => value - data[i]);
  const largestError = errors.reduce((most, error) => Math.max(most, Math.abs(error)), 0);
  const bins = new Array<number>(BINS).fill(0);
  for (const error of errors) {
    const share = largestError > 0 ? error / largestError : 0;
    bins[Math.min(BINS - 1, Math.floor(((share + 1) / 2) * BINS))]++;
  }
  const power = sumOfSquares(data);
  return {
    name,
    weights: data.length,
    bitsPerWeight: packed.bitsPerWeight,
    byteLength: packed.byteLength,
    relativeError: power > 0 ? Math.sqrt(sumOfSquares(errors) / power) : 0,
    largestError,
    levels: [...NF4_LEVELS],
    levelShares: levelShares(hostData(packed.codes) as Uint8Array, data.length),
    errorShares: bins.map((count) => count / data.length),
  };
}

const sumOfSquares = (values: Float32Array): number => values.reduce((sum, value) => sum + value * value, 0);

/** The even weight of a byte is in its high half. */
function levelShares(codes: Uint8Array, weights: number): number[] {
  const counts = new Array<number>(NF4_LEVELS.length).fill(0);
  for (let i = 0; i < weights; i++) counts[i % 2 === 0 ? codes[i >> 1] >> 4 : codes[i >> 1] & 15]++;
  return counts.map((count) => count / weights);
}

interface NamedMatrix {
  readonly name: string;
  readonly data: Float32Array;
  readonly shape: readonly [number, number];
}

function drawn(distribution: Distribution): NamedMatrix {
  const rng = createRng(7).named(distribution);
  const data = new Float32Array(ROWS * COLUMNS);
  for (let i = 0; i < data.length; i++) data[i] = draw(distribution, rng, i);
  return { name: `${ROWS} × ${COLUMNS} drawn weights`, data, shape: [ROWS, COLUMNS] };
}

/** The weight at `i`: independent draws of a width that is usual for weights. */
function draw(distribution: Distribution, rng: Rng, i: number): number {
  switch (distribution) {
    case 'normal':
      return 0.02 * rng.normal(i);
    case 'uniform':
      return 0.06 * (rng.uniform(i) - 0.5);
    case 'heavy tails': // a normal number over the root of an exponential one: Student's t with 2 degrees
      return (0.02 * rng.normal(i)) / Math.sqrt(-Math.log(1 - rng.uniform(i, 1)));
    case 'with outliers':
      return 0.02 * rng.normal(i) * (rng.uniform(i, 1) < 0.002 ? 20 : 1);
  }
}

/** The first matrix of a file, as many of its rows as a page can take. */
function matrixOf(bytes: Uint8Array): NamedMatrix {
  const { tensors } = safetensorsOf(memoryByteSource(bytes, 'the file', 'safetensors'));
  const matrix = [...tensors.values()].find(
    ({ shape, dtype }) => shape.length === 2 && ['F32', 'F16', 'BF16'].includes(dtype),
  );
  if (!matrix) throw new Error('The file has no matrix of F32, F16 or BF16.');
  const [rows, columns] = matrix.shape;
  const taken = Math.max(1, Math.min(rows, Math.floor(MOST_WEIGHTS / columns)));
  const data = matrix.readFloat32().subarray(0, taken * columns);
  const part = taken < rows ? `, the first ${taken} of ${rows} rows` : '';
  return { name: `${matrix.name} [${rows}, ${columns}]${part}`, data, shape: [taken, columns] };
}
