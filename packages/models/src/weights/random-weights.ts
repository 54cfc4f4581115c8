import type { ArrayView, Backend, Rng } from '@qdylora/contract';
import { Linear, Parameter } from '@qdylora/tensor';
import type { WeightSource } from './weight-source.ts';

/**
 * Fresh float32 weights: N(0, standardDeviation) for matrices and tables, 0 for biases, 1 for norms (0 where
 * they store the weight minus one); each a pure function of (rng, name).
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
    const own = rng.named(name);
    return filled(name, shape, (i) => standardDeviation * own.normal(i));
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
