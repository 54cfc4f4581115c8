import { hostData, f32View, type Arrays, type ArrayView } from '../arrays/array-view.ts';
import type { HalfDType } from '../arrays/dtype.ts';
import { isHalfDType, narrowHalves, widenHalves } from '../numbers/half-types.ts';
import type { Op } from './op.ts';

/**
 * Runs an op's reference in host memory. Arrays in `halves` that are bf16 or f16 are widened to f32 for
 * the reference, and their results are rounded once, at the end.
 */
export function runReference<I extends Arrays, O extends Arrays, A>(
  op: Op<I, O, A>,
  inputs: I,
  outputs: O,
  attributes: A,
): void {
  const isHalf = (name: string, view: ArrayView | undefined): view is ArrayView<HalfDType> =>
    isHalfDType(view?.dtype) && op.halves?.includes(name) === true;
  const widened = <T extends Arrays>(arrays: T): T =>
    Object.fromEntries(
      Object.entries(arrays).map(([name, view]) => [name, isHalf(name, view) ? widen(view) : view]),
    ) as T;
  const wide = widened(outputs);
  op.reference(widened(inputs), wide, attributes);
  for (const [name, view] of Object.entries(outputs))
    if (isHalf(name, view))
      narrowHalves(view.dtype, hostData(wide[name] as ArrayView<'f32'>), hostData(view));
}

const widen = (view: ArrayView<HalfDType>): ArrayView<'f32'> =>
  f32View(view.shape, widenHalves(view.dtype, hostData(view)));
