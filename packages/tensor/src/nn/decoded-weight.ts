import { hostData, elementCount, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { readElement } from '../ops/read-element.ts';
import { isPacked, type LinearWeight } from './linear.ts';

/** A weight as the forward pass sees it in float32: a new array, row-major [out, in]. */
export function decodedWeight(weight: LinearWeight, backend: Backend): Float32Array {
  if (isPacked(weight))
    return backend.memory.scoped(() =>
      Float32Array.from(hostData(runOp(backend, weight.decode, weight.operands, weight.attributes).values!)),
    );
  const at = readElement(weight.view as ArrayView<'f32'>);
  return Float32Array.from({ length: elementCount(weight.view.shape) }, (_, i) => at(i));
}
