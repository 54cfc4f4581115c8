import { contiguousStrides, typedArray, type ArrayView } from '@qdylora/contract';
import { Linear, Parameter } from '@qdylora/tensor';
import type { WeightSource } from './weight-source.ts';

/** Weights without numbers: names and shapes of a model of any size, for counting and planning. Nothing can be computed with them. */
export function shapeWeights(): WeightSource {
  const parameter = (name: string, shape: readonly number[]): Parameter => new Parameter(name, shapeOnly(shape));
  return {
    linear: (name, shape, { bias = false } = {}) => new Linear(name, parameter(`${name}.weight`, shape), bias ? parameter(`${name}.bias`, [shape[0]]) : null),
    table: (name, shape) => parameter(`${name}.weight`, shape),
    vector: (name, size) => parameter(name, [size]),
  };
}

/** A float32 array that is only a shape. */
const shapeOnly = (shape: readonly number[]): ArrayView<'f32'> => ({ dtype: 'f32', shape, strides: contiguousStrides(shape), data: typedArray('f32', null, 0, 0) });
