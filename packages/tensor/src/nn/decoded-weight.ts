import { isHalfDType, runOp, widenHalves, type Backend } from '@qdylora/contract';
import { isPacked, type LinearWeight } from './linear.ts';

/**
 * A copy of a weight in host memory, as float32 in row-major order: [out, in]. These are exactly the numbers
 * of the forward pass; the sum of a weight and its residual is rounded once more.
 */
export async function decodedWeight(weight: LinearWeight, backend: Backend): Promise<Float32Array> {
  const { memory } = backend;
  if (!isPacked(weight)) {
    const { dtype } = weight.view;
    const values = await memory.read(weight.view);
    return isHalfDType(dtype) ? widenHalves(dtype, values as Uint16Array) : (values as Float32Array);
  }
  const decoded = memory.scoped(
    () => runOp(backend, weight.decode, weight.operands, weight.attributes).values!,
    (values) => [values],
  );
  const values = (await memory.read(decoded)) as Float32Array;
  memory.release(decoded);
  if (!weight.residual) return values;
  const residual = await decodedWeight(weight.residual, backend);
  return values.map((value, i) => value + residual[i]);
}
