import {
  assertArgument,
  QdyloraError,
  runOp,
  shownValue,
  type ArrayView,
  type Backend,
} from '@qdylora/contract';
import { appendRows, constant, type Tensor } from '@qdylora/tensor';
import { allocateLasting } from './lasting-arrays.ts';
import type { AttentionConfig } from '../families/family-config.ts';

type F32 = ArrayView<'f32'>;

/** Keys and values of one layer for all tokens so far. */
export interface LayerCache {
  /**
   * Appends the rows of new tokens and returns all rows; `segments` holds how many of them are filled.
   *
   * k, v: [new tokens, kvHeads · headDim] → [capacity, kvHeads · headDim]
   */
  append(backend: Backend, k: F32, v: F32): { k: Tensor<F32>; v: Tensor<F32>; segments: ArrayView<'i32'> };
}

/** A cache for each layer. */
export interface LayerCaches {
  readonly layers: readonly LayerCache[];
}

/** Key-value cache of one sequence. */
export interface KvCache extends LayerCaches, Disposable {
  /** Tokens in the cache. */
  readonly length: number;
  /** Tokens that fit. */
  readonly capacity: number;
  /**
   * Runs a pass over new tokens, in which each layer appends once. `length` grows only if the pass succeeds.
   *
   * @throws QdyloraError BAD_ARGUMENT if the tokens do not fit
   */
  extend<T>(tokens: number, pass: () => T): T;
  dispose(): void;
}

/**
 * Allocates a cache; it is released by `dispose`.
 *
 * @param capacity tokens that fit: prompt and answer
 * @throws QdyloraError BAD_ARGUMENT unless `capacity` is a whole number of at least 1
 */
export function createKvCache(
  { memory }: Backend,
  attention: readonly AttentionConfig[],
  capacity: number,
): KvCache {
  assertArgument(
    Number.isSafeInteger(capacity) && capacity >= 1,
    'kv-cache',
    `The capacity in tokens must be a whole number of at least 1 (got ${shownValue(capacity)})`,
  );
  const { arrays, release: dispose } = allocateLasting(memory, (allocate) => ({
    segments: allocate('i32', [2]), // shared by all layers
    rows: attention.map(({ kvHeads, headDim }) => ({
      keys: allocate('f32', [capacity, kvHeads * headDim]),
      values: allocate('f32', [capacity, kvHeads * headDim]),
    })),
  }));
  const { segments, rows } = arrays;
  const layers = rows.map(({ keys, values }): LayerCache => ({
    append(backend, k, v) {
      for (const [x, y] of [
        [k, keys],
        [v, values],
      ] as const)
        runOp(backend, appendRows, { x, segments }, { rows: capacity }, { y });
      return { k: constant(keys), v: constant(values), segments };
    },
  }));
  let length = 0;
  return {
    layers,
    capacity,
    get length() {
      return length;
    },
    extend(tokens, pass) {
      const end = length + tokens;
      if (end > capacity)
        throw new QdyloraError('BAD_ARGUMENT', {
          where: 'kv-cache',
          problem: `The cache holds ${capacity} tokens at most (got ${end})`,
          nextStep: 'Make a cache with a larger capacity.',
        });
      memory.write(segments, [0, end]);
      const result = pass();
      length = end;
      return result;
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}
