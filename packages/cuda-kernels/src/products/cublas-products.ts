import { QdyloraError, type ArrayView, type FloatDType } from '@qdylora/contract';
import type { CublasCalls, Handle } from '../addon/addon-functions.ts';
import { ignoringFailures, type DeviceContext } from '../driver/device-context.ts';
import { addressOf } from '../memory/cuda-storage.ts';
import { cublasError } from './cublas-error.ts';
import { ALIGNMENT_BYTES, type LibraryProduct, type ProductPlan } from './library-product.ts';

/** cudaDataType. */
const TYPES: Readonly<Record<FloatDType, number>> = { f32: 0, bf16: 14, f16: 2 };
/** cublasComputeType_t: float32 sums. */
const COMPUTE_F32 = 68;
/** cublasLtMatmulDescAttributes_t. */
const DESCRIPTION = { transposesA: 3, transposesB: 4, epilogue: 7, bias: 8 };
const EPILOGUE_BIAS = 4;
/** cublasLtMatmulPreferenceAttributes_t. */
const PREFERENCE = { workspaceBytes: 1, reductions: 3, alignments: [5, 6, 7, 8] };
/** No sum is split over blocks: the others add in the order in which they end. */
const REDUCTION_NONE = 0;
/** What NVIDIA recommends for Hopper. Algorithms take less, and only that much is allocated. */
const MOST_WORKSPACE_BYTES = 32 * 2 ** 20;
/** cublasStatus_t. */
const NOT_SUPPORTED = 15;
/** cublasLtMatmulHeuristicResult_t: the algorithm, then the bytes of its workspace, and more. */
const RESULT = { bytes: 96, algorithmBytes: 64 };

const bytesOf = (numbers: Int32Array | Uint32Array | BigUint64Array | Float32Array): Uint8Array =>
  new Uint8Array(numbers.buffer);
const i32 = (value: number): Uint8Array => bytesOf(Int32Array.of(value));
const u32 = (value: number): Uint8Array => bytesOf(Uint32Array.of(value));
const u64 = (value: number): Uint8Array => bytesOf(BigUint64Array.of(BigInt(value)));
const ONE = bytesOf(Float32Array.of(1));
const ZERO = bytesOf(Float32Array.of(0));

/**
 * Kinds of product that are kept. A model has some ten for each count of tokens in a batch; a description is
 * four small things on the host, and costs about one search for an algorithm.
 */
const MOST_KINDS = 128;

/** A kind of product as cuBLASLt has it. */
interface Description {
  readonly description: Handle;
  readonly a: Handle;
  readonly b: Handle;
  readonly c: Handle;
  readonly algorithm: Uint8Array;
  readonly workspaceBytes: number;
  /** It does not throw. */
  dispose(): void;
}

/** Products by cuBLASLt on the stream of a device. */
export interface CublasProducts {
  /** Bytes of the workspace of a product; null where the library has no algorithm for it. */
  workspaceBytes(plan: ProductPlan): number | null;
  /** Enqueues a product. @returns what enqueues it again */
  multiply(product: LibraryProduct, workspace: ArrayView): () => void;
  /** It does not throw. */
  dispose(): void;
}

/**
 * Our matrices are by rows, those of cuBLASLt by columns: what is [rows, columns] here is its transpose
 * there. So it computes cᵀ = bᵀ·aᵀ, with b as its A and a as its B:
 *
 * | form | c | A as stored | op | B as stored | op |
 * |---|---|---|---|---|---|
 * | `Nt` | a·bᵀ | [depth, columns] | T | [depth, rows] | N |
 * | `Nn` | a·b | [columns, depth] | N | [depth, rows] | N |
 * | `Tn` | aᵀ·b | [columns, depth] | N | [rows, depth] | T |
 *
 * Each kind of product has one algorithm, the first of the heuristic: it depends on the sizes, the device and
 * the version of the library. Of the descriptions the `MOST_KINDS` that were used last are kept.
 */
export function createCublasProducts({ stream }: DeviceContext, calls: CublasCalls): CublasProducts {
  const handle = calls.cublasLtCreate();
  /** The one that was used last is last. */
  const descriptions = new Map<string, Description>();
  const withoutAlgorithm = new Set<string>();
  const descriptionOf = (plan: ProductPlan): Description => {
    const key = keyOf(plan);
    const found = descriptions.get(key) ?? describeProduct(calls, handle, plan);
    descriptions.delete(key);
    descriptions.set(key, found);
    if (descriptions.size > MOST_KINDS) {
      const [[oldest, { dispose }]] = descriptions;
      descriptions.delete(oldest);
      dispose();
    }
    return found;
  };
  return {
    workspaceBytes(plan) {
      if (withoutAlgorithm.has(keyOf(plan))) return null;
      try {
        return descriptionOf(plan).workspaceBytes;
      } catch (error) {
        if (!isUnsupported(error)) throw error;
        withoutAlgorithm.add(keyOf(plan));
        return null;
      }
    },
    multiply({ plan, ...arrays }, workspace) {
      const [aAt, bAt, cAt] = [arrays.a, arrays.b, arrays.c].map(addressOf);
      const beforeAt = addressOf(arrays.before ?? arrays.c);
      const workspaceAt = addressOf(workspace);
      const bias = arrays.bias && u64(addressOf(arrays.bias));
      const enqueue = (): void => {
        // a replay may find new handles: its own may have been destroyed
        const { description, a, b, c, algorithm, workspaceBytes } = descriptionOf(plan);
        if (bias) calls.cublasLtMatmulDescSetAttribute(description, DESCRIPTION.bias, bias, bias.length);
        calls.cublasLtMatmul(
          ...([handle, description, ONE, bAt, a, aAt, b] as const),
          ...([arrays.before ? ONE : ZERO, beforeAt, c, cAt, c] as const),
          ...([algorithm, workspaceAt, workspaceBytes, stream] as const),
        );
      };
      enqueue();
      return enqueue;
    },
    dispose() {
      for (const { dispose } of descriptions.values()) dispose();
      descriptions.clear();
      ignoringFailures(() => calls.cublasLtDestroy(handle));
    },
  };
}

const keyOf = ({ form, rows, columns, depth, dtype, hasBias }: ProductPlan): string =>
  [form, rows, columns, depth, dtype, hasBias].join(' ');

/** Whether the heuristic has no algorithm for a product. */
const isUnsupported = (error: unknown): boolean =>
  QdyloraError.isInstance(error) &&
  error.details.call === 'cublasLtMatmulAlgoGetHeuristic' &&
  error.details.result === NOT_SUPPORTED;

/** Makes all that the library wants to know of a kind of product, and chooses its algorithm. */
function describeProduct(calls: CublasCalls, handle: Handle, plan: ProductPlan): Description {
  const { form, rows, columns, depth, dtype, hasBias } = plan;
  const undo: (() => void)[] = [];
  const dispose = (): void => ignoringFailures(...undo.splice(0).reverse());
  const kept = (thing: Handle, destroy: (thing: Handle) => void): Handle => {
    undo.push(() => destroy(thing));
    return thing;
  };
  /** A matrix by columns, without gaps. */
  const layout = (type: FloatDType, storedRows: number, storedColumns: number): Handle =>
    kept(
      calls.cublasLtMatrixLayoutCreate(TYPES[type], storedRows, storedColumns, storedRows),
      calls.cublasLtMatrixLayoutDestroy,
    );
  try {
    const description = kept(
      calls.cublasLtMatmulDescCreate(COMPUTE_F32, TYPES.f32),
      calls.cublasLtMatmulDescDestroy,
    );
    const set = (attribute: number, value: Uint8Array): void =>
      calls.cublasLtMatmulDescSetAttribute(description, attribute, value, value.length);
    set(DESCRIPTION.transposesA, i32(form === 'Nt' ? 1 : 0));
    set(DESCRIPTION.transposesB, i32(form === 'Tn' ? 1 : 0));
    if (hasBias) {
      set(DESCRIPTION.epilogue, u32(EPILOGUE_BIAS));
      set(DESCRIPTION.bias, u64(ALIGNMENT_BYTES)); // the heuristic wants one; `multiply` sets it
    }
    const a = form === 'Nt' ? layout('bf16', depth, columns) : layout('bf16', columns, depth);
    const b = form === 'Tn' ? layout('bf16', rows, depth) : layout('bf16', depth, rows);
    const c = layout(dtype, columns, rows);
    return { description, a, b, c, ...algorithmFor(calls, handle, { description, a, b, c }), dispose };
  } catch (error) {
    dispose();
    throw error;
  }
}

/** The library's first choice without split sums. @throws QdyloraError UNSUPPORTED where it has none */
function algorithmFor(
  calls: CublasCalls,
  handle: Handle,
  { description, a, b, c }: Pick<Description, 'description' | 'a' | 'b' | 'c'>,
): Pick<Description, 'algorithm' | 'workspaceBytes'> {
  const preference = calls.cublasLtMatmulPreferenceCreate();
  const result = new Uint8Array(RESULT.bytes);
  try {
    const set = (attribute: number, value: Uint8Array): void =>
      calls.cublasLtMatmulPreferenceSetAttribute(preference, attribute, value, value.length);
    set(PREFERENCE.workspaceBytes, u64(MOST_WORKSPACE_BYTES));
    set(PREFERENCE.reductions, u32(REDUCTION_NONE));
    for (const attribute of PREFERENCE.alignments) set(attribute, u32(ALIGNMENT_BYTES));
    const call = 'cublasLtMatmulAlgoGetHeuristic';
    const found = calls[call](handle, description, a, b, c, c, preference, 1, result);
    if (found === 0)
      throw cublasError(
        Object.assign(new Error('no algorithm'), { call, result: NOT_SUPPORTED, errorName: '' }),
      );
  } finally {
    calls.cublasLtMatmulPreferenceDestroy(preference);
  }
  const workspaceBytes = new DataView(result.buffer).getBigUint64(RESULT.algorithmBytes, true);
  return { algorithm: result.slice(0, RESULT.algorithmBytes), workspaceBytes: Number(workspaceBytes) };
}
