import { repeatedCall, type ArrayView, type Backend, type DataOf } from '@qdylora/contract';
import type { BatchArrays } from '../batch-arrays.ts';
import type { KvCache } from './kv-cache.ts';

/** The pass that follows a prompt, again and again: one token in, what comes after it out. */
export interface TokenStep<T> extends Disposable {
  /** Adds the token to the cache.  @throws QdyloraError BAD_ARGUMENT where the cache is full, or the model has no such position */
  next(id: number): Promise<T>;
}

export interface TokenStepOptions<D extends 'f32' | 'i32'> {
  readonly cache: KvCache;
  /** What to make of one token, on the backend that it is given. */
  pass(backend: Backend, batch: BatchArrays): ArrayView<D>;
  /** Throws where no token may stand at this position. */
  assertPosition(position: number): void;
}

/** A step whose arrays stay where they are, so that a backend that records calls repeats them without JavaScript. */
export function createTokenStep<D extends 'f32' | 'i32'>(backend: Backend, { cache, pass, assertPosition }: TokenStepOptions<D>): TokenStep<DataOf[D]> {
  const { memory } = backend, [ids, positions, segments] = [1, 1, 2].map((length) => memory.allocate('i32', [length])) as [ArrayView<'i32'>, ArrayView<'i32'>, ArrayView<'i32'>];
  memory.persist(ids, positions, segments);
  memory.write(segments, [0, 1]);
  const call = repeatedCall(backend, (own) => pass(own, { ids, positions, segments }));
  return {
    async next(id) {
      assertPosition(cache.length);
      memory.write(ids, [id]);
      memory.write(positions, [cache.length]);
      return memory.read(cache.extend(1, () => call.run()));
    },
    [Symbol.dispose]() {
      call.dispose();
      for (const view of [ids, positions, segments]) memory.release(view);
    },
  };
}
