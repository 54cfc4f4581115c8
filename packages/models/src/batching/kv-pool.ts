import { rowsOf, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { appendRows, constant, copy, fill } from '@qdylora/tensor';
import { allocateLasting } from '../decoder/lasting-arrays.ts';
import type { AttentionConfig } from '../families/family-config.ts';
import type { LayerCache } from '../decoder/kv-cache.ts';
import { createTokenRanges, type TokenRange, type TokenRanges } from './token-ranges.ts';

type F32 = ArrayView<'f32'>;
type I32 = ArrayView<'i32'>;

/** The new tokens of one sequence in a pass. */
export interface NewTokens {
  readonly count: number;
}

/** Where the sequences of a pass are in the pool, as arrays that a replayed pass reads again. */
export interface PoolSegments {
  /** Segments of the keys, with those between the sequences, which have no queries. */
  readonly keySegments: I32;
  /** Row of the pool behind the last new token of each sequence: [sequences] */
  readonly ends: I32;
}

/** Keys and values of many sequences in one array a layer. */
export interface KvPool extends Disposable {
  readonly ranges: TokenRanges;
  /** The caches of a pass over new tokens of sequences, in the order of their ranges (`segments`). */
  cachesOf(sequences: readonly NewTokens[], segments: PoolSegments): readonly LayerCache[];
  /** Copies the keys and values of the first tokens of a range to the beginning of another one. */
  copyTokens(from: TokenRange, to: TokenRange, count: number): void;
}

/** Bytes of the keys and values of one token: float32, in all layers. */
export const kvTokenBytes = (attention: readonly AttentionConfig[]): number =>
  attention.reduce((sum, { kvHeads, headDim }) => sum + 2 * 4 * kvHeads * headDim, 0);

/**
 * Allocates keys and values for `capacity` tokens of all sequences together; released by dispose.
 *
 * A sequence has consecutive rows, so attention over many sequences is one op: each sequence is a segment,
 * and the rows between two of them are a segment without queries.
 */
export function createKvPool(
  backend: Backend,
  attention: readonly AttentionConfig[],
  capacity: number,
): KvPool {
  const { memory } = backend;
  const { arrays: layers, release } = allocateLasting(memory, (allocate) => {
    const rows = (width: number): F32 => {
      const view = allocate('f32', [capacity, width]);
      // Kernels of a GPU weigh rows between sequences with 0, and 0 · NaN is NaN. Those of a CPU read none.
      if (!memory.space.isHost) runOp(backend, fill, {}, { value: 0, shape: view.shape }, { y: view });
      return view;
    };
    return attention.map(({ kvHeads, headDim }) => ({
      keys: rows(kvHeads * headDim),
      values: rows(kvHeads * headDim),
    }));
  });
  return {
    ranges: createTokenRanges(capacity),
    cachesOf: (sequences, { keySegments, ends }) =>
      layers.map(({ keys, values }) => ({
        append(backend, k, v) {
          appendTo(backend, sequences, { x: k, pool: keys, ends });
          appendTo(backend, sequences, { x: v, pool: values, ends });
          return { k: constant(keys), v: constant(values), segments: keySegments };
        },
      })),
    copyTokens(from, to, count) {
      for (const pool of layers.flatMap(({ keys, values }) => [keys, values])) {
        const x = rowsOf(pool, from.start, from.start + count);
        runOp(backend, copy, { x }, {}, { y: rowsOf(pool, to.start, to.start + count) });
      }
    },
    [Symbol.dispose]: release,
  };
}

/** Writes the new rows of each sequence into its range. x: [new tokens, width]   pool: [capacity, width] */
function appendTo(
  backend: Backend,
  sequences: readonly NewTokens[],
  { x, pool, ends }: { readonly x: F32; readonly pool: F32; readonly ends: I32 },
): void {
  const rows = pool.shape[0];
  let from = 0;
  for (const [i, { count }] of sequences.entries()) {
    const segments = rowsOf(ends, i, i + 1);
    runOp(backend, appendRows, { x: rowsOf(x, from, from + count), segments }, { rows }, { y: pool });
    from += count;
  }
}
