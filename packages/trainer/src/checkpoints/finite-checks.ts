import {
  elementCount,
  hostData,
  QdyloraError,
  runOp,
  viewOf,
  type ArrayView,
  type Backend,
  type DataOf,
  type DType,
} from '@qdylora/contract';
import { sumOfSquares } from '@qdylora/tensor';
import type { Optimizer, StateArray } from '../optimizers/optimizer.ts';
import { joinNeighbours } from './join-neighbours.ts';

/**
 * True if sums of squares show that all weights are finite; false if the sums do not cover all of them.
 * Arrays that were allocated together are neighbours, so a few sums are enough.
 */
export function areWeightsFinite(backend: Backend, { parameters }: Optimizer): boolean {
  const weights = backend.memory.space.isHost
    ? parameters.map(({ view }) => hostData(view)).filter((data) => data instanceof Float32Array)
    : [];
  return (
    weights.length === parameters.length &&
    joinNeighbours(weights).every((data) => hasFiniteSquares(backend, viewOf('f32', [data.length], data)))
  );
}

/**
 * True if sums of squares over the resident slabs show that all optimizer states are finite; false if the
 * slabs do not cover all of them.
 */
export function areStatesFinite(
  backend: Backend,
  optimizer: Optimizer,
  arrays: ReadonlyMap<string, StateArray>,
): boolean {
  const resident = optimizer.resident?.() ?? [];
  const elements = (list: Iterable<Pick<StateArray, 'dtype' | 'shape'>>): number =>
    [...list].reduce((sum, { dtype, shape }) => sum + (dtype === 'f32' ? elementCount(shape) : 0), 0);
  return (
    backend.memory.space.isHost &&
    elements(resident) >= elements(arrays.values()) &&
    resident.every((x) => hasFiniteSquares(backend, x))
  );
}

const hasFiniteSquares = (backend: Backend, x: ArrayView<'f32'>): boolean =>
  Number.isFinite(
    hostData(
      runOp(backend, sumOfSquares, { x }, {}, { sum: viewOf('f32', [1], new Float32Array(1)) }).sum,
    )[0],
  );

/**
 * Refuses values that a checkpoint must not contain. A sum of squares settles nearly all cases; every number
 * is checked only if the sum is not finite.
 *
 * @throws QdyloraError NON_FINITE
 */
export function assertSavable(backend: Backend, name: string, values: DataOf[DType]): void {
  if (!(values instanceof Float32Array)) return; // codes of 8-bit states; their scales are float32
  if (backend.memory.space.isHost && hasFiniteSquares(backend, viewOf('f32', [values.length], values)))
    return;
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw new QdyloraError('NON_FINITE', {
      where: 'save',
      problem: `${name} has the value ${values[bad]} at ${bad}`,
      nextStep: 'Resume from the last checkpoint with a smaller learning rate.',
      details: { name, index: bad },
    });
}
