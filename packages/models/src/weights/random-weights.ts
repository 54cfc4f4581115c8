import type { ArrayView, Backend, Rng } from '@qdylora/contract';
import { Linear, Parameter } from '@qdylora/tensor';
import type { WeightSource } from './weight-source.ts';

/**
 * Random float32 weights: normal with mean 0 for matrices and tables, 0 for biases, 1 for norms (0 if they
 * store the weight minus one). Each value is a pure function of the rng, the tensor's name and its index.
 */
export function randomWeights(backend: Backend, rng: Rng, standardDeviation: number): WeightSource {
  const filled = (name: string, shape: readonly number[], value: (i: number) => number): Parameter => {
    const view: ArrayView<'f32'> = backend.memory.allocate('f32', shape);
    backend.memory.persist(view);
    backend.memory.fill(view, (values) => {
      for (let i = 0; i < values.length; i++) values[i] = value(i);
    });
    return new Parameter(name, view);
  };
  const normal = (name: string, shape: readonly number[]): Parameter => {
    const tensorRng = rng.named(name);
    return filled(name, shape, (i) => standardDeviation * tensorRng.normal(i));
  };
  return {
    linear: (name, shape, { bias = false } = {}) =>
      new Linear(
        name,
        normal(`${name}.weight`, shape),
        bias ? filled(`${name}.bias`, [shape[0]], () => 0) : null,
      ),
    table: (name, shape) => normal(`${name}.weight`, shape),
    vector: (name, size, initial) => filled(name, [size], () => initial),
  };
}
