import { transposedEntry, type TensorEntry } from '@qdylora/checkpoint';
import {
  QdyloraError,
  sameShape,
  shapeText,
  type ArrayView,
  type Backend,
  type PackedWeight,
} from '@qdylora/contract';
import {
  dequantize4bit,
  deserializeBitsandbytes,
  moveToMemory,
  packedWeight,
  quantStateName,
  tileMatrix,
  type QuantizationKind,
  type QuantizedMatrix,
  type StoredArray,
} from '@qdylora/quant';
import { Linear, Parameter } from '@qdylora/tensor';
import { storedName, weightEntry } from '../checkpoint-files/weight-entry.ts';
import type { WeightFiles } from '../checkpoint-files/with-saved-weights.ts';
import type { Quantization } from '../quantize/quantization.ts';
import { quantizeLevels } from '../quantize/quantize-levels.ts';
import { quantizeOn } from '../quantize/quantize-on.ts';
import { shareQuantization, type LoadWorkers } from '../quantize/share-quantization.ts';
import { withWeightName } from '../quantize/with-weight-name.ts';
import { readValues } from './read-values.ts';
import type { AsyncWeightSource, MatrixRequest } from './weight-source.ts';

export interface CheckpointWeightsOptions {
  readonly backend: Backend;
  readonly quantization: Quantization;
  /** Keep everything in float32, so that it can be trained. Otherwise bfloat16 stays bfloat16. */
  readonly trainable: boolean;
  /** The prefix of names that files saved without a head leave out. */
  readonly base: string;
  /** Linear weights are stored as [in, out]; matrices that bitsandbytes packed are [out, in] in any case. */
  readonly storesInOut: boolean;
  /** Staging memory for packed blocks while they are unpacked (`pieceFor`). */
  readonly piece?: ArrayView<'u8'>;
  /** The workers that share the quantizing; null: this process alone. */
  readonly workers: LoadWorkers | null;
  /** Called after each tensor that this process reads. */
  readonly onProgress?: (bytesRead: number) => void;
}

/**
 * The weights of a checkpoint, read one at a time: peak memory is the packed model plus one matrix.
 *
 * A matrix that the checkpoint has in 4 bits is taken as it is; a head or an embedding is decoded to float32.
 */
export function checkpointWeights(
  checkpoint: WeightFiles,
  options: CheckpointWeightsOptions,
): AsyncWeightSource {
  const { backend, trainable, piece, onProgress, base, storesInOut } = options;
  let bytesRead = 0;
  const entryOf = (name: string, shape: readonly number[]): TensorEntry =>
    weightEntry(checkpoint, base, name, shape);
  const count = ({ byteLength }: TensorEntry): void => {
    bytesRead += byteLength;
    onProgress?.(bytesRead);
  };
  const read = async <T>(entry: TensorEntry, take: (entry: TensorEntry) => T | Promise<T>): Promise<T> => {
    const value = await take(entry);
    count(entry);
    return value;
  };
  const readBytes = (entry: TensorEntry): Uint8Array => {
    const bytes = entry.readBytes();
    count(entry);
    return bytes;
  };
  const inMemory = (entry: TensorEntry, asFloat32: boolean): Promise<ArrayView> =>
    read(entry, () => {
      const view = readValues(backend, { ...entry, piece }, entry.shape, asFloat32);
      backend.memory.persist(view);
      return view;
    });
  const parameter = async (name: string, entry: TensorEntry, asFloat32: boolean): Promise<Parameter> =>
    new Parameter(name, await inMemory(entry, asFloat32));
  const matrixOf = (name: string, shape: readonly [number, number]): TensorEntry =>
    storesInOut ? transposedEntry(entryOf(name, shape.toReversed())) : entryOf(name, shape);
  const { packed, decoded, prepare } = packedWeights(checkpoint, options, { read, readBytes, matrixOf });
  return {
    prepare,
    async linear(name, shape, { bias: hasBias = false } = {}) {
      const weightName = `${name}.weight`;
      const weight =
        (await packed(weightName, shape)) ??
        (await parameter(weightName, matrixOf(weightName, shape), trainable));
      const biasName = `${name}.bias`;
      const bias = hasBias ? await parameter(biasName, entryOf(biasName, [shape[0]]), true) : null;
      return new Linear(name, weight, bias);
    },
    async table(name, shape) {
      const weightName = `${name}.weight`;
      return (
        decoded(weightName, shape) ?? (await parameter(weightName, entryOf(weightName, shape), trainable))
      );
    },
    vector: (name, size) => parameter(name, entryOf(name, [size]), true),
  };
}

type MatrixShape = readonly [number, number];

/** How the matrices of a checkpoint are found and read. */
interface MatrixReader {
  matrixOf(name: string, shape: MatrixShape): TensorEntry;
  /** Reads a tensor and counts its bytes. */
  read<T>(entry: TensorEntry, take: (entry: TensorEntry) => T | Promise<T>): Promise<T>;
  /** The stored bytes of a tensor, which are counted too. */
  readBytes(entry: TensorEntry): Uint8Array;
}

interface PackedWeights {
  /** Quantizes the matrices where workers do it together. */
  prepare(matrices: readonly MatrixRequest[]): Promise<void>;
  /** The weight of a layer in 4 bits; undefined where it stays as it is. */
  packed(name: string, shape: MatrixShape): Promise<PackedWeight | undefined>;
  /** A table that the checkpoint has in 4 bits, as float32; undefined where it is not packed. */
  decoded(name: string, shape: MatrixShape): Parameter | undefined;
}

function packedWeights(
  checkpoint: WeightFiles,
  options: CheckpointWeightsOptions,
  { read, readBytes, matrixOf }: MatrixReader,
): PackedWeights {
  const { backend, quantization, piece, base } = options;
  let shared: ReadonlyMap<string, QuantizedMatrix> = new Map(); // of `prepare`, by name
  const storedAs = (name: string): { readonly stored: string; readonly isPacked: boolean } => {
    const stored = storedName(name, base, checkpoint);
    return { stored, isPacked: isPackedWeight(stored, checkpoint.tensors) };
  };
  const quantized = (
    entry: TensorEntry,
    shape: MatrixShape,
    kind: QuantizationKind,
  ): Promise<QuantizedMatrix> =>
    quantizeOn(backend, { ...entry, piece }, shape, { ...quantization, kind }).catch((error: unknown) => {
      throw withWeightName(error, entry.name);
    });
  const stored4bit = (name: string, shape: MatrixShape): QuantizedMatrix =>
    storedMatrix(checkpoint, { name, shape, readBytes });
  return {
    async prepare(matrices) {
      const weights = matrices.map(({ name, shape }) => ({ name: `${name}.weight`, shape }));
      const unpacked = weights.filter(({ name }) => !storedAs(name).isPacked);
      shared = await shareQuantization(unpacked, options, ({ name, shape }, kind) =>
        read(matrixOf(name, shape), (entry) => quantized(entry, shape, kind)),
      );
    },
    async packed(name, shape) {
      const { stored, isPacked } = storedAs(name);
      if (isPacked) {
        const arranged = arrangedFor(backend, stored4bit(stored, shape));
        return quantizeLevels(backend, moveToMemory(arranged, backend.memory), null, quantization);
      }
      const { kind } = quantization;
      if (kind === 'none') return undefined;
      const matrix = shared.get(name);
      if (matrix) return packedWeight(matrix);
      return read(matrixOf(name, shape), async (entry) => {
        const values = { ...entry, piece };
        return quantizeLevels(backend, await quantized(entry, shape, kind), values, quantization);
      });
    },
    decoded(name, shape) {
      const { stored, isPacked } = storedAs(name);
      if (!isPacked) return undefined;
      const values = dequantize4bit(stored4bit(stored, shape));
      const view = readValues(backend, values, shape);
      backend.memory.persist(view);
      return new Parameter(name, view);
    },
  };
}

/**
 * Whether bitsandbytes packed a weight. One that has scales and no state counts too: reading it says that the
 * state is missing.
 */
const isPackedWeight = (stored: string, tensors: WeightFiles['tensors']): boolean =>
  quantStateName(stored, tensors) !== undefined || tensors.has(`${stored}.absmax`);

/** A matrix in the layout that the backend's kernels read; its arrays are overwritten. */
const arrangedFor = ({ packedLayout }: Backend, matrix: QuantizedMatrix): QuantizedMatrix =>
  packedLayout === 'tiles' ? tileMatrix(matrix, { inPlace: true }) : matrix;

/** A matrix that bitsandbytes packed. */
function storedMatrix(
  checkpoint: WeightFiles,
  { name, shape, readBytes }: Pick<MatrixReader, 'readBytes'> & MatrixRequest,
): QuantizedMatrix {
  const arrays = new Map<string, StoredArray>();
  for (const [key, entry] of checkpoint.tensors) {
    if (key === name || key.startsWith(`${name}.`))
      arrays.set(key, { dtype: entry.dtype, shape: entry.shape, bytes: readBytes(entry) });
  }
  const { matrix } = deserializeBitsandbytes(name, arrays);
  if (!sameShape(matrix.shape, shape))
    throw new QdyloraError('BAD_SHAPE', {
      where: checkpoint.name,
      problem: `The packed matrix ${name} is ${shapeText(matrix.shape)}; the model needs ${shapeText(shape)}`,
      nextStep: 'Check whether config.json belongs to these weights.',
      details: { name },
    });
  return matrix;
}
