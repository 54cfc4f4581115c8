import type { ArrayView, Memory } from '@qdylora/contract';

/** Arrays that live until `release`, whatever scope they were allocated in. */
export interface LastingArrays<T> {
  readonly arrays: T;
  release(): void;
}

/**
 * Lets `make` allocate arrays outside of all scopes. If it throws, those that it has allocated are released.
 *
 * @param make releases nothing; whatever else it computes is released
 */
export function allocateLasting<T>(
  memory: Memory,
  make: (allocate: Memory['allocate']) => T,
): LastingArrays<T> {
  const views: ArrayView[] = [];
  const arrays = memory.scoped(
    () =>
      make((dtype, shape) => {
        const view = memory.allocate(dtype, shape);
        views.push(view);
        return view;
      }),
    () => views,
  );
  memory.persist(...views);
  return {
    arrays,
    release() {
      for (const view of views.splice(0)) memory.release(view);
    },
  };
}
