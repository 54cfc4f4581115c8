import type { ArrayView } from '../arrays/array-view.ts';
import type { Memory, NumberList } from './memory.ts';

/** `constant` of a device's memory: it copies each list once, by the other functions of the memory. */
export function constantsOf({
  allocate,
  persist,
  write,
}: Pick<Memory, 'allocate' | 'persist' | 'write'>): Memory['constant'] {
  const constants = new WeakMap<NumberList, ArrayView<'f32'>>();
  return (values) => {
    const cached = constants.get(values);
    if (cached) return cached;
    const view = allocate('f32', [values.length]);
    persist(view);
    write(view, values);
    constants.set(values, view);
    return view;
  };
}
