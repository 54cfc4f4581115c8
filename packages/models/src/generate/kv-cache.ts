import {
  assertArgument,
  QdyloraError,
  runOp,
  shownValue,
  type ArrayView,
  type Backend,
} from '@qdylora/contract';
import { appendRows, constant, type Tensor } from '@qdylora/tensor';
import type { AttentionConfig } from '../families/family-config.ts';

type F32 = ArrayView<'f32'>;

/** The keys and values of one layer for all tokens so far. */
export interface LayerCache {
  /**
   * Puts the rows of the newest tokens in their place and returns all rows, of which `segments` says how many
   * count. k, v: [new tokens, kvHeads · headDim] → [capacity, same]
   */
  append(backend: Backend, k: F32, v: F32): { k: Tensor<F32>; v: Tensor<F32>; segments: ArrayView<'i32'> };
}

/** Keys and values of one sequence, so that each new token costs one row. */
export interface KvCache extends Disposable {
  readonly layers: readonly LayerCache[];
  /** Tokens that every layer has seen. */
  readonly length: number;
  readonly capacity: number;
  /**
   * A pass over so many tokens more, to which each layer appends once; they count where it succeeds. @throws
   * QdyloraError BAD_ARGUMENT where they do not fit
   */
  extend<T>(tokens: number, pass: () => T): T;
  dispose(): void;
}

/**
 * @param capacity tokens that fit: prompt and answer @throws QdyloraError BAD_ARGUMENT unless a whole number
 * ≥ 1
 */
export function createKvCache(
  { memory }: Backend,
  attention: readonly AttentionConfig[],
  capacity: number,
): KvCache {
  assertArgument(
    Number.isSafeInteger(capacity) && capacity >= 1,
    'kv-cache',
    `expected a whole number ≥ 1 for the capacity in tokens, got ${shownValue(capacity)}`,
  );
  const views: ArrayView[] = [];
  const lasting = <D extends 'f32' | 'i32'>(dtype: D, shape: readonly number[]): ArrayView<D> => {
    const view = memory.allocate(dtype, shape);
    memory.persist(view);
    views.push(view);
    return view;
  };
  const segments = lasting('i32', [2]); // all layers of a pass say the same
  const layers = attention.map(({ kvHeads, headDim }): LayerCache => {
    const keys = lasting('f32', [capacity, kvHeads * headDim]);
    const values = lasting('f32', [capacity, kvHeads * headDim]);
    return {
      append(backend, k, v) {
        for (const [x, y] of [
          [k, keys],
          [v, values],
        ] as const)
          runOp(backend, appendRows, { x, segments }, { rows: capacity }, { y });
        return { k: constant(keys), v: constant(values), segments };
      },
    };
  });
  let length = 0;
  const dispose = (): void => {
    for (const view of views.splice(0)) memory.release(view);
  };
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
          problem: `expected at most ${capacity} tokens, got ${end}`,
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
