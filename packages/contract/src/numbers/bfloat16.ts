const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** float32 → bfloat16 bits, round to nearest even; NaN stays a quiet NaN. */
export function toBfloat16(value: number): number {
  float[0] = value;
  const b = bits[0];
  if ((b & 0x7fffffff) > 0x7f800000) return (b >>> 16) | 0x0040;
  return ((b + 0x7fff + ((b >>> 16) & 1)) >>> 16) & 0xffff;
}

/** bfloat16 bits → float32, exact. */
export function fromBfloat16(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

/** The nearest bfloat16 to `value`, as a number. */
export const roundToBfloat16 = (value: number): number => fromBfloat16(toBfloat16(value));

/** An array of float32 as bfloat16 bits. */
export function bfloat16Array(
  values: ArrayLike<number>,
  out: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  for (let i = 0; i < values.length; i++) out[i] = toBfloat16(values[i]);
  return out;
}

/** bfloat16 bits as float32. */
export function float32FromBfloat16(
  halves: Uint16Array,
  out: Float32Array = new Float32Array(halves.length),
): Float32Array {
  for (let i = 0; i < halves.length; i++) out[i] = fromBfloat16(halves[i]);
  return out;
}
