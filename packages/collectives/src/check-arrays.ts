import { assertArgument, shownValue } from '@qdylora/contract';
import type { NumberArray, Reduction, SentArray } from './communicator.ts';

/** In the order of native/typed-arrays.h. */
export const REDUCTIONS: readonly Reduction[] = ['sum', 'max', 'min'];

/** @throws QdyloraError BAD_ARGUMENT unless `all` has room for a part of every worker */
export function assertGathered(
  where: string,
  part: SentArray,
  all: SentArray,
  { partLength, size }: { readonly partLength: number; readonly size: number },
): void {
  assertArgument(
    part.constructor === all.constructor,
    where,
    `Both arrays must have one type (got ${part.constructor.name} and ${all.constructor.name})`,
  );
  assertArgument(
    Number.isInteger(partLength) && all.length === partLength * size,
    where,
    `With ${size} workers the arrays must hold ${size} parts of equal length ` +
      `(got ${part.length} and ${all.length} elements)`,
  );
}

/** @throws QdyloraError BAD_ARGUMENT unless it is an array of numbers that can be reduced */
export function assertReducible(values: NumberArray): void {
  assertArgument(
    [Float32Array, Float64Array, Int32Array].some((type) => (values as unknown) instanceof type),
    'all-reduce',
    `Only a Float32Array, a Float64Array or an Int32Array can be reduced (got ${typeText(values)})`,
  );
}

const typeText = (value: unknown): string =>
  ArrayBuffer.isView(value) ? `a ${value.constructor.name}` : shownValue(value);

/** @throws QdyloraError BAD_ARGUMENT unless it is the number of a worker */
export function assertRoot(root: unknown, size: number): void {
  assertArgument(
    Number.isInteger(root) && (root as number) >= 0 && (root as number) < size,
    'broadcast',
    `The root must be a worker from 0 to ${size - 1} (got ${shownValue(root)})`,
  );
}

/** @throws QdyloraError BAD_ARGUMENT unless it is a reduction */
export function assertReduction(reduction: unknown): void {
  assertArgument(
    REDUCTIONS.includes(reduction as Reduction),
    'all-reduce',
    `The reduction must be one of ${REDUCTIONS.join(', ')} (got ${shownValue(reduction)})`,
  );
}
