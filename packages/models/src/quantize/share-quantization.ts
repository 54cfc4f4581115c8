import { byteLengthOf, elementCount, typedArray, type ArrayView, type Backend } from '@qdylora/contract';
import {
  arraysOf,
  quantizedMatrix,
  shapeMatrix,
  type QuantizationKind,
  type QuantizedMatrix,
} from '@qdylora/quant';
import type { MatrixRequest } from '../weights/weight-source.ts';
import type { Quantization } from './quantization.ts';
import { isOneLevel } from './quantize-levels.ts';

/** Workers that load a model together; a `Communicator` of @qdylora/collectives is one. */
export interface LoadWorkers {
  readonly rank: number;
  readonly size: number;
  /** Replaces `values` on every worker by those of the worker `root`. */
  broadcast(values: Uint8Array, root?: number): Promise<void>;
}

export interface SharedQuantization {
  readonly backend: Backend;
  readonly quantization: Quantization;
  /** null: this process alone. */
  readonly workers: LoadWorkers | null;
}

/** Matrices of each worker that may be on their way: bounds the memory of packed copies. */
const MATRICES_ON_THEIR_WAY = 2;

/**
 * Quantizes matrices on several workers, which take turns: worker w reads and quantizes every matrix whose
 * number is w modulo their count, and sends it to the others. A worker does not wait for a matrix of another
 * one before it quantizes its own.
 *
 * @param quantize reads and quantizes a matrix
 * @returns the matrices by name; empty without workers, and with several levels, which need the original
 * values
 */
export async function shareQuantization(
  requests: readonly MatrixRequest[],
  { backend, quantization, workers }: SharedQuantization,
  quantize: (request: MatrixRequest, kind: QuantizationKind) => Promise<QuantizedMatrix>,
): Promise<Map<string, QuantizedMatrix>> {
  const matrices = new Map<string, QuantizedMatrix>();
  const { kind } = quantization;
  if (!workers || kind === 'none' || !isOneLevel(quantization)) return matrices;
  const sent: Promise<void>[] = [];
  for (const [index, request] of requests.entries()) {
    const root = index % workers.size;
    const isOwn = root === workers.rank;
    const matrix = isOwn
      ? await quantize(request, kind)
      : emptyMatrix(backend, request.shape, { ...quantization, kind });
    const bytes = isOwn ? await bytesOf(backend, matrix) : new Uint8Array(packedLength(matrix));
    const sending = workers.broadcast(bytes, root).then(() => {
      matrices.set(request.name, isOwn ? matrix : fillMatrix(backend, matrix, bytes));
    });
    sending.catch(() => {}); // it is awaited later
    sent.push(sending);
    if (sent.length > MATRICES_ON_THEIR_WAY * workers.size) await sent.shift();
  }
  await Promise.all(sent);
  return matrices;
}

/** A matrix of another worker: its arrays, without contents. */
function emptyMatrix(
  backend: Backend,
  shape: MatrixRequest['shape'],
  { kind, doubleQuantization, blockSize }: Quantization & { readonly kind: QuantizationKind },
): QuantizedMatrix {
  const matrix = shapeMatrix({
    kind,
    shape,
    blockSize,
    doubleQuantization,
    tiled: backend.packedLayout === 'tiles',
    array: (dtype, size) => backend.memory.allocate(dtype, size),
  });
  backend.memory.persist(...arraysOf(matrix));
  return matrix;
}

/** The offset of the scales is a float32. */
const OFFSET_BYTES = 4;

/** Each array begins at a multiple of it. */
const ALIGNMENT = 8;

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** Where each array of a matrix is among its bytes; the offset of the scales comes first. */
function layOut(matrix: QuantizedMatrix): { readonly view: ArrayView; readonly at: number }[] {
  let at = aligned(OFFSET_BYTES);
  return arraysOf(matrix).map((view) => {
    const place = { view, at };
    at += aligned(byteLengthOf(view));
    return place;
  });
}

const packedLength = (matrix: QuantizedMatrix): number =>
  layOut(matrix).reduce((_, { view, at }) => at + aligned(byteLengthOf(view)), 0);

async function bytesOf({ memory }: Backend, matrix: QuantizedMatrix): Promise<Uint8Array> {
  const bytes = new Uint8Array(packedLength(matrix));
  new DataView(bytes.buffer).setFloat32(0, matrix.doubleQuantized?.offset ?? 0, true);
  for (const { view, at } of layOut(matrix)) {
    const values = await memory.read(view);
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
  }
  return bytes;
}

/** Writes the arrays of a matrix. */
function fillMatrix({ memory }: Backend, matrix: QuantizedMatrix, bytes: Uint8Array): QuantizedMatrix {
  for (const { view, at } of layOut(matrix)) {
    memory.write(view, typedArray(view.dtype, bytes.buffer, at, elementCount(view.shape)));
  }
  const { doubleQuantized: nested } = matrix;
  const offset = new DataView(bytes.buffer).getFloat32(0, true);
  return quantizedMatrix({ ...matrix, doubleQuantized: nested && { ...nested, offset } });
}
