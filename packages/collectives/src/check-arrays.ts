import { assertArgument, shownValue } from '@qdylora/contract';
import type { SentArray } from './communicator.ts';

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

/** @throws QdyloraError BAD_ARGUMENT unless it is the number of a worker */
export function assertRoot(root: unknown, size: number): void {
  assertArgument(
    Number.isInteger(root) && (root as number) >= 0 && (root as number) < size,
    'broadcast',
    `The root must be a worker from 0 to ${size - 1} (got ${shownValue(root)})`,
  );
}
