import {
  halfReader,
  hostData,
  isHalfDType,
  rounderTo,
  type FloatDType,
  type FloatView,
} from '@qdylora/contract';

/**
 * How a reference reads an operand: element i as a number, rounded to the type that the product computes in.
 */
export function readElement(view: FloatView, computeDtype: FloatDType = 'f32'): (i: number) => number {
  const data = hostData(view);
  const round = rounderTo(computeDtype);
  if (!isHalfDType(view.dtype)) return computeDtype === 'f32' ? (i) => data[i] : (i) => round(data[i]);
  const read = halfReader(view.dtype);
  return view.dtype === computeDtype || computeDtype === 'f32'
    ? (i) => read(data[i])
    : (i) => round(read(data[i]));
}
