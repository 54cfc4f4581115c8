import {
  repeatedCall,
  type ArrayView,
  type Backend,
  type DataOf,
  type RepeatedCall,
} from '@qdylora/contract';
import { batchArrays, oneSequence, type BatchArrays } from './batch-arrays.ts';
import type { KvCache } from './kv-cache.ts';

/** The forward pass of one token after another: a token in, its answer out. */
export interface TokenStep<T> extends Disposable {
  /**
   * Adds a token to the cache and returns the answer.
   *
   * @throws QdyloraError BAD_ARGUMENT if the cache is full, or if the model has no such position
   */
  next(id: number): Promise<T>;
}

export interface TokenStepOptions<D extends 'f32' | 'i32'> {
  readonly cache: KvCache;
  /** The pass of one token, on the given backend, which may record it. */
  pass(backend: Backend, batch: BatchArrays): ArrayView<D>;
  /** Throws where the model has no such position. */
  assertPosition(position: number): void;
}

/**
 * A step on arrays that stay in place, so that a backend that records calls can replay it without
 * JavaScript.
 */
export function createTokenStep<D extends 'f32' | 'i32'>(
  backend: Backend,
  { cache, pass, assertPosition }: TokenStepOptions<D>,
): TokenStep<DataOf[D]> {
  const { memory } = backend;
  const batch = memory.scoped(
    () => batchArrays(backend, oneSequence([0])),
    (arrays) => Object.values(arrays),
  );
  const { ids, positions } = batch;
  memory.persist(...Object.values(batch));
  const newCall = (): RepeatedCall<ArrayView<D>> =>
    repeatedCall(backend, (recorder) => pass(recorder, batch));
  let call = newCall();
  return {
    async next(id) {
      assertPosition(cache.length);
      memory.write(ids, [id]);
      memory.write(positions, [cache.length]);
      try {
        return await memory.read(cache.extend(1, () => call.run()));
      } catch (error) {
        call.dispose(); // half a recording must not be replayed
        call = newCall();
        throw error;
      }
    },
    [Symbol.dispose]() {
      call.dispose();
      for (const view of Object.values(batch)) memory.release(view);
    },
  };
}
