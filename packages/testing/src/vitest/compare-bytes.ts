import { expect } from 'vitest';

/**
 * True where two typed arrays of one type have the same bytes; otherwise vitest compares them as ever, and
 * says where they differ. Vitest alone takes 5 µs an element: 1 s for the weights of a tiny model.
 */
function areEqualBytes(a: unknown, b: unknown): true | undefined {
  if (!isTypedArray(a) || !isTypedArray(b)) return undefined;
  if (a.constructor !== b.constructor || a.byteLength !== b.byteLength) return undefined;
  return bytesOf(a).equals(bytesOf(b)) || undefined;
}

const isTypedArray = (value: unknown): value is NodeJS.TypedArray =>
  ArrayBuffer.isView(value) && !(value instanceof DataView);

const bytesOf = ({ buffer, byteOffset, byteLength }: NodeJS.TypedArray): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

// Once for each process: files that share modules import this one once.
expect.addEqualityTesters([areEqualBytes]);
