import { hostData, f32View, type Arrays, type ArrayView } from '../arrays/array-view.ts';
import { bfloat16Array, float32FromBfloat16 } from '../numbers/bfloat16.ts';
import type { Op } from './op.ts';

/**
 * Runs an op's reference in host memory. Arrays in `halves` that are bf16 are widened to f32 for the
 * reference, and their results are rounded once, at the end.
 */
export function runReference<I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  inputs: I,
  outputs: O,
  attributes: A,
): void {
  const isHalf = (name: string, view: ArrayView | undefined): view is ArrayView<'bf16'> =>
    view?.dtype === 'bf16' && op.halves?.includes(name) === true;
  const widened = <T extends Arrays>(arrays: T): T =>
    Object.fromEntries(
      Object.entries(arrays).map(([name, view]) => [name, isHalf(name, view) ? widen(view) : view]),
    ) as T;
  const wide = widened(outputs);
  op.reference(widened(inputs), wide, attributes);
  for (const [name, view] of Object.entries(outputs))
    if (isHalf(name, view)) bfloat16Array(hostData(wide[name] as ArrayView<'f32'>), hostData(view));
}

const widen = (view: ArrayView<'bf16'>): ArrayView<'f32'> =>
  f32View(view.shape, float32FromBfloat16(hostData(view)));
