import { DisposedError, type ArrayView, type DataOf, type DType, type Memory } from '@qdylora/contract';

/** Arrays whose addresses C++ keeps, though they belong to others. */
export interface LentArrays {
  add(views: Readonly<Record<string, ArrayView | undefined>>): void;
  /**
   * @throws DisposedError where one is gone, or has shrunk, as a view of a resizable buffer may: its address
   * is worth no more than that of one that is gone.
   */
  assertThere(): void;
  clear(): void;
}

/** `memory`: it may give arrays back. `isOwn`: buffers that are looked after elsewhere. */
export function createLentArrays(memory: Memory, isOwn: (buffer: ArrayBufferLike) => boolean): LentArrays {
  const lent = new Map<DataOf[DType], { readonly view: ArrayView; readonly length: number }>();
  return {
    add(views) {
      for (const name in views) {
        const view = views[name];
        if (view && view.data.length > 0 && !lent.has(view.data) && !isOwn(view.data.buffer))
          lent.set(view.data, { view, length: view.data.length });
      }
    },
    assertThere() {
      for (const { view, length } of lent.values())
        if (view.data.length !== length || memory.isReleased?.(view))
          throw new DisposedError('array of a recording');
    },
    clear() {
      lent.clear();
    },
  };
}
