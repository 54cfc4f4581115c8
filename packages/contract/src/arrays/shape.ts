import { QdyloraError } from '../errors/errors.ts';

/** The size of each axis, outermost first; `[]` is one element. */
export type Shape = readonly number[];

// Plain loops: an op asks these a dozen times, and a step has a thousand ops.

/** True of what may be the size of an axis. */
export const isSize = (size: number): boolean => Number.isSafeInteger(size) && size >= 0;

/** Number of elements. */
export function elementCount(shape: Shape): number {
  let product = 1;
  for (let i = 0; i < shape.length; i++) product *= shape[i];
  return product;
}

/** True if both shapes have the same number of axes and the same sizes. */
export const sameShape = (a: Shape, b: Shape): boolean => fits(a, b, false);

/** `[2, 3]` as a person reads it. */
export const shapeText = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Throws `BAD_SHAPE` unless the shapes agree; −1 in `expected` allows any size. */
export function assertShape(where: string, name: string, got: Shape, expected: Shape): void {
  if (fits(got, expected, true)) return;
  const sizes = expected.map((size) => (size === -1 ? 'any' : size)).join(', ');
  throw new QdyloraError('BAD_SHAPE', {
    where,
    problem: `${name} must be [${sizes}], but it is ${shapeText(got)}`,
    details: { name, expected, got },
  });
}

/** `allowsAny`: −1 in `expected` fits every size. */
function fits(got: Shape, expected: Shape, allowsAny: boolean): boolean {
  if (got.length !== expected.length) return false;
  for (let i = 0; i < got.length; i++)
    if (got[i] !== expected[i] && !(allowsAny && expected[i] === -1)) return false;
  return true;
}
