import {
  elementCount,
  hostData,
  QdyloraError,
  type ArrayView,
  type Backend,
  type DataOf,
  type DType,
} from '@qdylora/contract';
import type { SavedArray, StateArray } from '../optimizer.ts';
import type { StatePage, WithPage } from './prepare-states.ts';
import type { StateLayout, StateSpec } from './state-layout.ts';

/** A view in a backend's memory as a state array. */
export const stateArrayOf = <D extends DType>({ memory }: Backend, view: ArrayView<D>): StateArray<D> => ({
  dtype: view.dtype,
  shape: view.shape,
  peek: () => (memory.space.isHost ? hostData(view) : null),
  read: () => memory.read(view),
  write: (values) => {
    memory.write(view, values);
  },
});

export interface PagedArrayParts {
  readonly backend: Backend;
  readonly layout: StateLayout;
  readonly spec: StateSpec;
  readonly pages: readonly StatePage[];
  readonly withPage: WithPage;
}

/** One array of one parameter over all of its pages. */
export function stateArrayOfPages({ backend, layout, spec, pages, withPage }: PagedArrayParts): StateArray {
  const { memory } = backend;
  const { kind, dtype, row } = spec;
  const rowElements = elementCount(row);
  const whole = pages.length === 1 ? pages[0].arrays?.[kind] : undefined;
  if (whole) return stateArrayOf(backend, whole);
  const emptyValues = (): Float32Array | Uint8Array =>
    new (dtype === 'f32' ? Float32Array : Uint8Array)(layout.rows * rowElements);
  const gathered = (): Float32Array | Uint8Array => {
    const values = emptyValues();
    for (const page of pages)
      withPage(page, false, (arrays) => {
        values.set(hostData(arrays[kind]) as Float32Array, page.from * rowElements);
      });
    return values;
  };
  return {
    dtype,
    shape: [layout.rows, ...row],
    peek: () => (memory.space.isHost ? gathered() : null),
    async read() {
      const values = emptyValues();
      for (const page of pages) {
        let numbers: Promise<DataOf[DType]> | undefined;
        withPage(page, false, (arrays) => {
          numbers = memory.read(arrays[kind]); // enqueued before the next page takes the slot
        });
        values.set((await numbers!) as Float32Array, page.from * rowElements);
      }
      return values;
    },
    write(values) {
      for (const page of pages)
        withPage(page, true, (arrays) => {
          memory.write(
            arrays[kind],
            (values as Float32Array).subarray(page.from * rowElements, page.to * rowElements),
          );
        });
    },
  };
}

/** @throws QdyloraError BAD_RESUME if a saved array is missing, or has another size or dtype. */
export function checkSaved(name: string, { dtype, shape }: StateArray, saved: SavedArray | undefined): void {
  const expected = elementCount(shape);
  if (saved?.length === expected && saved.dtype === dtype) return;
  throw new QdyloraError('BAD_RESUME', {
    where: 'resume',
    problem:
      `${name} must have ${expected} numbers (${dtype}), but the checkpoint has ` +
      `${saved ? `${saved.length} (${saved.dtype})` : 'none'}`,
    nextStep: 'Resume with the model, ranks, target_modules and optimizer of the first run.',
    details: { name, expected, got: saved?.length },
  });
}
