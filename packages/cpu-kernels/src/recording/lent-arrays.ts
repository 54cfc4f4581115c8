import { DisposedError, HostStorage, type ArrayView, type Memory } from '@qdylora/contract';

/** Arrays whose addresses C++ keeps, though they belong to others. */
export interface LentArrays {
  add(views: Readonly<Record<string, ArrayView | undefined>>): void;
  /**
   * @throws DisposedError where one was released, or has shrunk, as a view of a resizable buffer may: its
   * address is then as useless as that of an array that is gone.
   */
  assertThere(): void;
  clear(): void;
}

/**
 * @param memory may release some of the arrays
 * @param isOwnBuffer buffers of the recording itself, which nobody else can release
 */
export function createLentArrays(
  memory: Memory,
  isOwnBuffer: (buffer: ArrayBufferLike) => boolean,
): LentArrays {
  const lent = new Map<HostStorage, { readonly view: ArrayView; readonly length: number }>();
  return {
    add(views) {
      for (const name in views) {
        const view = views[name];
        const storage = view?.storage;
        if (!view || !(storage instanceof HostStorage) || lent.has(storage)) continue;
        const { length, buffer } = storage.elements;
        if (length > 0 && !isOwnBuffer(buffer)) lent.set(storage, { view, length });
      }
    },
    assertThere() {
      for (const [storage, { view, length }] of lent)
        if (storage.elements.length !== length || memory.isReleased?.(view))
          throw new DisposedError('array of a recording');
    },
    clear() {
      lent.clear();
    },
  };
}
