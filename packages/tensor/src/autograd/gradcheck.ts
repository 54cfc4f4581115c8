import { assertArgument, hostData, f32View, type ArrayView, type Backend } from '@qdylora/contract';
import { leaf, type Tensor } from '../tensor.ts';
import { backward } from './backward.ts';
import { Tape, type Recorder } from './tape.ts';

/** The entry whose gradient differs most. */
export interface GradcheckResult {
  /** |analytic − numeric| / max(1, |numeric|); NaN if any gradient or difference is NaN. */
  readonly worst: number;
  /** Index of the input; -1 if no entry differs. */
  readonly input: number;
  /** Index of the entry in the input, row-major; -1 if no entry differs. */
  readonly index: number;
  readonly analytic: number;
  readonly numeric: number;
}

/**
 * Compares the gradient of a scalar function with central differences, entry by entry. All arrays must be in
 * host memory. The arrays of its passes are released.
 *
 * @param step of the differences, above 0
 * @returns the worst entry: about 1e-3 for right gradients in float32 with the default step
 * @throws QdyloraError BAD_ARGUMENT for another step; what the function throws
 */
export function gradcheck(
  backend: Backend,
  scalar: (recorder: Recorder, inputs: readonly Tensor<ArrayView<'f32'>>[]) => Tensor<ArrayView<'f32'>>,
  inputs: readonly ArrayView<'f32'>[],
  step = 2 ** -7,
): GradcheckResult {
  assertArgument(step > 0, 'gradcheck', `The step must be above 0 (got ${step})`);
  const { memory } = backend;
  const gradients = memory.scoped(() => {
    const tape = new Tape(backend);
    const leaves = inputs.map((view) => leaf(view));
    const found = backward(tape, scalar({ backend, tape }, leaves), { leaves });
    return found.map((gradient) => gradient && Float32Array.from(hostData(gradient)));
  });
  const value = (moved: readonly ArrayView<'f32'>[]): number =>
    memory.scoped(() => {
      const leaves = moved.map((view) => leaf(view));
      return hostData(scalar({ backend, tape: null }, leaves).view)[0];
    });
  let result: GradcheckResult = { worst: 0, input: -1, index: -1, analytic: 0, numeric: 0 };
  inputs.forEach((view, input) => {
    for (let index = 0; index < hostData(view).length; index++) {
      const at = (delta: number): number =>
        value(inputs.map((other, j) => (j === input ? nudged(other, index, delta) : other)));
      const up = Math.fround(hostData(view)[index] + step) - hostData(view)[index];
      const down = hostData(view)[index] - Math.fround(hostData(view)[index] - step);
      const numeric = (at(step) - at(-step)) / (up + down);
      const analytic = gradients[input]?.[index] ?? 0;
      const error = Math.abs(analytic - numeric) / Math.max(1, Math.abs(numeric));
      const isWorse = error > result.worst || (Number.isNaN(error) && !Number.isNaN(result.worst));
      if (isWorse) result = { worst: error, input, index, analytic, numeric };
    }
  });
  return result;
}

function nudged(view: ArrayView<'f32'>, index: number, delta: number): ArrayView<'f32'> {
  const copy = f32View(view.shape, Float32Array.from(hostData(view)));
  hostData(copy)[index] += delta;
  return copy;
}
