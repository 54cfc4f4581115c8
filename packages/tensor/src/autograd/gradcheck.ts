import { hostData, f32View, type ArrayView, type Backend } from '@qdylora/contract';
import { leaf, type Tensor } from '../tensor.ts';
import { backward } from './backward.ts';
import { Tape, type Recorder } from './tape.ts';

export interface GradcheckResult {
  readonly worst: number;
  readonly input: number;
  readonly index: number;
  readonly analytic: number;
  readonly numeric: number;
}

/**
 * Compares the gradient of a scalar function with central differences, entry by entry.
 *
 * @returns `worst`: the largest |analytic − numeric| / max(1, |numeric|); about 1e-3 in float32 with the
 * default step
 */
export function gradcheck(
  backend: Backend,
  scalar: (recorder: Recorder, inputs: readonly Tensor<ArrayView<'f32'>>[]) => Tensor<ArrayView<'f32'>>,
  inputs: readonly ArrayView<'f32'>[],
  step = 2 ** -7,
): GradcheckResult {
  const tape = new Tape(backend);
  const leaves = inputs.map((view) => leaf(view));
  const gradients = backward(tape, scalar({ backend, tape }, leaves), { leaves });
  const value = (moved: readonly ArrayView<'f32'>[]): number =>
    hostData(
      scalar(
        { backend, tape: null },
        moved.map((view) => leaf(view)),
      ).view,
    )[0];
  let result: GradcheckResult = { worst: 0, input: -1, index: -1, analytic: 0, numeric: 0 };
  inputs.forEach((view, input) => {
    for (let index = 0; index < hostData(view).length; index++) {
      const at = (delta: number): number =>
        value(inputs.map((other, j) => (j === input ? nudged(other, index, delta) : other)));
      const up = Math.fround(hostData(view)[index] + step) - hostData(view)[index];
      const down = hostData(view)[index] - Math.fround(hostData(view)[index] - step);
      const numeric = (at(step) - at(-step)) / (up + down);
      const gradient = gradients[input];
      const analytic = gradient ? hostData(gradient)[index] : 0;
      const error = Math.abs(analytic - numeric) / Math.max(1, Math.abs(numeric));
      if (!(error <= result.worst)) result = { worst: error, input, index, analytic, numeric };
    }
  });
  return result;
}

function nudged(view: ArrayView<'f32'>, index: number, delta: number): ArrayView<'f32'> {
  const copy = f32View(view.shape, Float32Array.from(hostData(view)));
  hostData(copy)[index] += delta;
  return copy;
}
