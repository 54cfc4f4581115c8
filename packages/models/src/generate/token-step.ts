import { repeatedCall, type ArrayView, type Backend, type DataOf } from '@qdylora/contract';
import { batchArrays, oneSequence, type BatchArrays } from '../decoder/batch-arrays.ts';
import type { KvCache } from './kv-cache.ts';

/** The pass that follows a prompt, again and again: one token in, what comes after it out. */
export interface TokenStep<T> extends Disposable {
  /**
   * Adds the token to the cache. @throws QdyloraError BAD_ARGUMENT where the cache is full, or the model has
   * no such position
   */
  next(id: number): Promise<T>;
}

export interface TokenStepOptions<D extends 'f32' | 'i32'> {
  readonly cache: KvCache;
  /** What to make of one token, on the backend that it is given. */
  pass(backend: Backend, batch: BatchArrays): ArrayView<D>;
  /** Throws where no token may stand at this position. */
  assertPosition(position: number): void;
}

/**
 * A step whose arrays stay where they are, so that a backend that records calls repeats them without
 * JavaScript.
 */
export function createTokenStep<D extends 'f32' | 'i32'>(
  backend: Backend,
  { cache, pass, assertPosition }: TokenStepOptions<D>,
): TokenStep<DataOf[D]> {
  const { memory } = backend;
  const batch = batchArrays(backend, oneSequence([0]));
  const { ids, positions } = batch;
  memory.persist(...Object.values(batch));
  const call = repeatedCall(backend, (own) => pass(own, batch));
  return {
    async next(id) {
      assertPosition(cache.length);
      memory.write(ids, [id]);
      memory.write(positions, [cache.length]);
      return memory.read(cache.extend(1, () => call.run()));
    },
    [Symbol.dispose]() {
      call.dispose();
      for (const view of Object.values(batch)) memory.release(view);
    },
  };
}
