import { QdyloraError } from './errors.ts';

export type Shape = readonly number[];

/** Number of elements. */
export const elementCount = (shape: Shape): number => shape.reduce((product, size) => product * size, 1);

/** Row-major strides, in elements. */
export function contiguousStrides(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) { strides[i] = step; step *= shape[i]!; }
  return strides;
}

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((size, i) => size === b[i]);

/** `[2, 3]` as a person reads it. */
export const shapeText = (shape: Shape): string => `[${shape.join(', ')}]`;

/** Throws `BAD_SHAPE` unless the shapes agree; −1 in `expected` allows any size. */
export function assertShape(where: string, name: string, got: Shape, expected: Shape): void {
  if (got.length === expected.length && expected.every((size, i) => size === -1 || size === got[i])) return;
  throw new QdyloraError('BAD_SHAPE', { where, problem: `expected ${shapeText(expected)} for ${name}, got ${shapeText(got)}`, details: { name, expected, got } });
}
