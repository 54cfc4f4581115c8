import { ExactNumber } from '../../rows/json/exact-number.ts';
import { numberOf, type Value } from './values.ts';

/**
 * Compares two numbers exactly, as Python does: a whole number beyond 2^53 may differ from its nearest float.
 * Null if either is not a number; NaN if either is NaN.
 *
 * @returns a negative number, 0 or a positive number, as for `sort`
 */
export function compareNumbers(a: Value, b: Value): number | null {
  const x = numberOf(a);
  const y = numberOf(b);
  if (x === null || y === null) return null;
  if (x !== y) return x < y ? -1 : x > y ? 1 : NaN;
  if (!(a instanceof ExactNumber || b instanceof ExactNumber)) return 0;
  const left = digitsOf(a, x);
  const right = digitsOf(b, y);
  if (left === null) return x;
  return right === null ? -x : compareDigits(left, right);
}

/** A number as text, the same for equal numbers of any kind; null for another value. */
export function numberText(value: Value): string | null {
  if (value instanceof ExactNumber) return value.digits;
  const number = numberOf(value);
  return number === null ? null : String(Number.isInteger(number) ? BigInt(number) : number);
}

/** The digits of a whole number; null for an infinite float. */
const digitsOf = (value: Value, number: number): string | null =>
  value instanceof ExactNumber || Number.isFinite(number) ? numberText(value) : null;

/** Compares whole numbers of the same sign by their digits: parsing millions of them takes minutes. */
function compareDigits(a: string, b: string): number {
  const sign = a.startsWith('-') ? -1 : 1;
  return sign * (a.length - b.length || (a < b ? -1 : a > b ? 1 : 0));
}
