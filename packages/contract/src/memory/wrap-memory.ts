import type { Memory } from './memory.ts';

/**
 * A memory with some members replaced. All others are called on the memory itself, which may be an object of
 * a class: a copy by `...memory` would have none of its methods.
 *
 * @example
 * const counting = wrapMemory(memory, { trim: () => void (trims++, memory.trim()) });
 */
export const wrapMemory = (memory: Memory, replaced: Partial<Memory>): Memory => ({
  ...memory,
  name: memory.name,
  space: memory.space,
  allocate: (dtype, shape) => memory.allocate(dtype, shape),
  release: (view) => memory.release(view),
  isReleased: memory.isReleased?.bind(memory),
  isOwn: memory.isOwn?.bind(memory),
  scoped: (body, keep) => memory.scoped(body, keep),
  persist: (...views) => memory.persist(...views),
  read: (view) => memory.read(view),
  write: (view, values) => memory.write(view, values),
  fill: (view, body) => memory.fill(view, body),
  constant: (values) => memory.constant(values),
  usage: () => memory.usage(),
  freeBytes: memory.freeBytes?.bind(memory),
  resetPeak: () => memory.resetPeak(),
  trim: () => memory.trim(),
  dispose: () => memory.dispose(),
  [Symbol.dispose]: () => memory.dispose(),
  ...replaced,
});
