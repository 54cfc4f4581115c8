import { QdyloraError, rowsOf, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { constant, copy, type Tensor } from '@qdylora/tensor';
import type { AttentionConfig } from '../families/family.ts';

type F32 = ArrayView<'f32'>;

/** The keys and values of one layer for all tokens so far. */
export interface LayerCache {
  /** Adds the rows of the newest tokens and returns all rows so far, as one segment.  k, v: [new tokens, kvHeads · headDim] */
  append(k: F32, v: F32): { k: Tensor<F32>; v: Tensor<F32>; segments: ArrayView<'i32'> };
}

/** Keys and values of one sequence, so that each new token costs one row. Each layer appends once a pass. */
export interface KvCache extends Disposable {
  readonly layers: readonly LayerCache[];
  /** Tokens that every layer has seen. */
  readonly length: number;
  readonly capacity: number;
  dispose(): void;
}

/** @param capacity tokens that fit: prompt and answer */
export function createKvCache(backend: Backend, attention: readonly AttentionConfig[], capacity: number): KvCache {
  const { memory } = backend, views: ArrayView[] = [], segments = memory.allocate('i32', [2]), lengths = attention.map(() => 0);
  memory.persist(segments);
  views.push(segments);
  const rows = ({ kvHeads, headDim }: AttentionConfig): F32 => {
    const view: F32 = memory.allocate('f32', [capacity, kvHeads * headDim]);
    memory.persist(view);
    views.push(view);
    return view;
  };
  const layers = attention.map((layer, i): LayerCache => {
    const keys = rows(layer), values = rows(layer);
    return {
      append(k, v) {
        const start = lengths[i]!, end = start + k.shape[0]!;
        if (end > capacity) throw new QdyloraError('BAD_ARGUMENT', { where: 'kv-cache', problem: `expected at most ${capacity} tokens, got ${end}`, nextStep: 'Make a cache with a larger capacity.' });
        runOp(backend, copy, { x: k }, {}, { y: rowsOf(keys, start, end) });
        runOp(backend, copy, { x: v }, {}, { y: rowsOf(values, start, end) });
        lengths[i] = end;
        memory.write(segments, [0, end]); // all layers of a pass say the same
        return { k: constant(rowsOf(keys, 0, end)), v: constant(rowsOf(values, 0, end)), segments };
      },
    };
  });
  const dispose = (): void => { for (const view of views.splice(0)) memory.release(view); };
  return { layers, capacity, get length() { return Math.min(...lengths); }, dispose, [Symbol.dispose]: dispose };
}
