import type { TensorToWrite } from '@qdylora/checkpoint';
import { mergedLayer, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { decodedWeight, isPacked, modulesOf, type Linear } from '@qdylora/tensor';
import { bytesIn, type SaveDtype } from './write-model.ts';

/** All weights of a base model with its adapters folded in at `rank`, made one after the other as the file is written. */
export function mergedTensors({ model }: { readonly model: CausalLm }, adapted: Adapted<CausalLm>, rank: number, dtype: SaveDtype): TensorToWrite[] {
  const layers = new Map(adapted.layers.map((layer) => [layer.name, layer])), tensors = new Map<string, TensorToWrite>(), { backend } = model;
  const add = (name: string, shape: readonly number[], values: () => Float32Array): void => {
    tensors.set(name, { name, dtype: dtype === 'bf16' ? 'BF16' : 'F32', shape, bytes: () => bytesIn(values(), dtype) });
  };
  for (const module of modulesOf(model.modules)) {
    const own = layers.get(module.name), { weight } = module as Partial<Linear>;
    for (const parameter of module.parameters()) add(parameter.name, parameter.view.shape, () => decodedWeight(parameter, backend));
    if (own) add(`${module.name}.weight`, [own.outFeatures, own.inFeatures], () => mergedLayer(own, backend, rank).weight);
    else if (weight && isPacked(weight)) add(`${module.name}.weight`, weight.shape, () => decodedWeight(weight, backend));
  }
  return [...tensors.values()];
}
