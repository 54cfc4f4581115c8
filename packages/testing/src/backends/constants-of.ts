import type { ArrayView, Memory, NumberList } from '@qdylora/contract';

/** `constant` of a memory that copies each list once, by its other functions. */
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
