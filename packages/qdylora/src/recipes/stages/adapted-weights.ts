import { mergedLayer, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { decodedWeight, isPacked, modulesOf, type Linear } from '@qdylora/tensor';
import type { NamedWeight } from './write-model.ts';

/** All weights of a base model with its adapters folded in at `rank`, made one after the other as the file is written; `isLinear` where they are matrices that may be packed. */
export function mergedWeights({ model }: { readonly model: CausalLm }, adapted: Adapted<CausalLm>, rank: number): (NamedWeight & { readonly isLinear: boolean })[] {
  const layers = new Map(adapted.layers.map((layer) => [layer.name, layer])), weights = new Map<string, NamedWeight & { readonly isLinear: boolean }>(), { backend } = model;
  const add = (name: string, shape: readonly number[], isLinear: boolean, values: () => Float32Array): void => { weights.set(name, { name, shape, isLinear, values }); };
  for (const module of modulesOf(model.modules)) {
    const own = layers.get(module.name), { weight } = module as Partial<Linear>;
    for (const parameter of module.parameters()) add(parameter.name, parameter.view.shape, false, () => decodedWeight(parameter, backend));
    if (own) add(`${module.name}.weight`, [own.outFeatures, own.inFeatures], true, () => mergedLayer(own, backend, rank).weight);
    else if (weight && isPacked(weight)) add(`${module.name}.weight`, weight.shape, true, () => decodedWeight(weight, backend));
  }
  return [...weights.values()];
}
