import { hostData, repeatedCall, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { add, fill, rmsNorm, rmsNormBackward, scaleBy } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';

/** A copy on the device. */
export function placed<V extends ArrayView>(backend: Backend, view: V): V {
  const copied = backend.memory.allocate(view.dtype, view.shape);
  backend.memory.write(copied, hostData(view));
  return copied as V;
}

/** Numbers of each array of the work. */
export const WORK_SIZE = 37 * 96;

const [ROWS, HIDDEN] = [37, 96];

/** Work that uses each part of a backend: copies both ways, kernels, scratch, constants, recordings. */
export async function workOf(backend: Backend): Promise<Float32Array> {
  const { memory } = backend;
  const x = placed(backend, normalView(1, 'x', [ROWS, HIDDEN]));
  const weight = placed(backend, normalView(1, 'w', [HIDDEN]));
  const attributes = { epsilon: 1e-5, weightOffset: 0 };
  const { y, inverseRms } = runOp(backend, rmsNorm, { x, weight }, attributes);
  const dWeight = runOp(backend, fill, {}, { value: 0, shape: [HIDDEN] }).y as ArrayView<'f32'>;
  const { dx } = runOp(
    backend,
    rmsNormBackward,
    { x, weight, inverseRms, dy: y },
    { ...attributes, accumulate: false },
    { dWeight },
  );
  const factor = memory.constant(Float32Array.of(0.5));
  using halving = repeatedCall(backend, (inner) => {
    const half = runOp(inner, scaleBy, { x: dx as ArrayView<'f32'>, factor }, {}).y;
    return runOp(inner, add, { a: half, b: half }, {}).y;
  });
  halving.run();
  memory.write(dx as ArrayView<'f32'>, new Float32Array(ROWS * HIDDEN).fill(3));
  const doubled = await memory.read(halving.run());
  const again = await memory.read(halving.run());
  return Float32Array.of(...doubled, ...again, ...(await memory.read(dWeight)));
}
