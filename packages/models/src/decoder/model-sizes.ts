import { DTYPE_BYTES, elementCount } from '@qdylora/contract';
import { isPacked, modulesOf, parametersOf, type Linear } from '@qdylora/tensor';

/** Number and bytes of the weights in memory. Each array counts once, so a tied head does not count again. */
export function modelSizes(modules: unknown): { parameterCount: number; weightBytes: number } {
  let parameterCount = 0;
  let weightBytes = 0;
  const add = (shape: readonly number[], bytes: number): void => {
    parameterCount += elementCount(shape);
    weightBytes += bytes;
  };
  for (const { view } of parametersOf(modules))
    add(view.shape, elementCount(view.shape) * DTYPE_BYTES[view.dtype]);
  for (const layer of modulesOf(modules)) {
    const weight = (layer as Partial<Linear>).weight ?? (layer as { base?: Linear }).base?.weight;
    if (weight && isPacked(weight)) add(weight.shape, weight.byteLength);
  }
  return { parameterCount, weightBytes };
}
