import { expect, test } from 'vitest';
import { createHostBackend, hostData, f32View, type Backend } from '@qdylora/contract';
import { packedWeight, quantizeNf4 } from '@qdylora/quant';
import {
  constant,
  inferenceContext,
  Linear,
  mapLinears,
  Parameter,
  projectTogether,
  type LinearLike,
} from '@qdylora/tensor';
import { groupFrozenLayers } from './grouped-linear.ts';

const IN = 64;
const values = (rows: number, seed: number): Float32Array =>
  Float32Array.from({ length: rows * IN }, (_, i) => Math.sin(i * 0.7 + seed));
const dense = (name: string, rows: number, seed: number): Linear =>
  new Linear(
    name,
    new Parameter(`${name}.weight`, f32View([rows, IN], values(rows, seed))),
    new Parameter(`${name}.bias`, f32View([rows], values(rows, seed).slice(0, rows))),
  );
const packed = (name: string, rows: number, seed: number): Linear =>
  new Linear(name, packedWeight(quantizeNf4({ shape: [rows, IN], data: values(rows, seed) })));

interface Model {
  readonly backend: Backend;
  readonly modules: Record<string, LinearLike>;
  withModules(replace: (layer: Linear) => LinearLike): Model;
}

/** A model of these layers whose backend counts the calls of each op. */
function modelOf(...layers: readonly Linear[]): {
  readonly model: Model;
  readonly calls: Map<string, number>;
} {
  const calls = new Map<string, number>();
  const backend: Backend = {
    ...createHostBackend(),
    measure: ({ op: { name } }, run) => {
      calls.set(name, (calls.get(name) ?? 0) + 1);
      run();
    },
  };
  const over = (modules: Record<string, LinearLike>): Model => ({
    backend,
    modules,
    withModules: (replace) => over(mapLinears(modules, replace)),
  });
  return { model: over(Object.fromEntries(layers.map((layer) => [layer.name, layer]))), calls };
}

const project = ({ backend, modules }: Model): Float32Array[] =>
  projectTogether(
    inferenceContext(backend),
    Object.values(modules),
    constant(f32View([3, IN], values(3, 9))),
  ).map(({ view }) => Float32Array.from(hostData(view) as Float32Array));

test('frozen layers that read one input are one op, with the same results', () => {
  for (const layers of [
    [packed('q', 32, 1), packed('k', 16, 2), packed('v', 16, 3)],
    [packed('gate', 8, 4), dense('up', 8, 5)],
    [dense('one', 4, 6), dense('two', 5, 7)],
  ]) {
    const { model, calls } = modelOf(...layers);
    const apart = project(model);
    calls.clear();
    expect(project(groupFrozenLayers(model))).toEqual(apart);
    expect([...calls]).toEqual([['adapted-linear-group', 1]]);
  }
});

test('a layer that is trained, or one too many, stays by itself', () => {
  const trained = modelOf(dense('one', 4, 6), dense('two', 5, 7));
  for (const parameter of trained.model.modules['one'].parameters())
    parameter.makeTrainable(trained.model.backend.memory);
  const many = modelOf(...[1, 2, 3, 4].map((i) => dense(`layer${i}`, 4, i)));
  for (const { model, calls } of [trained, many]) {
    const apart = project(model);
    calls.clear();
    expect(project(groupFrozenLayers(model))).toEqual(apart);
    expect([...calls.keys()]).toEqual(['linear']);
  }
});

test('names, sizes and parameters are those of the layer', () => {
  const { model } = modelOf(dense('one', 4, 6));
  const grouped = groupFrozenLayers(model).modules['one'];
  const single = model.modules['one'];
  expect([grouped.name, grouped.inFeatures, grouped.outFeatures, grouped.parameters()]).toEqual([
    single.name,
    single.inFeatures,
    single.outFeatures,
    single.parameters(),
  ]);
});
