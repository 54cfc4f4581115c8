import { mergeLayerAtRank, transposed, type Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { decodedWeight, isPacked, Linear, modulesOf } from '@qdylora/tensor';
import type { NamedWeight } from '../outputs/write-model.ts';

/** A weight of a model as memory holds it; `isLinear`: a matrix [out, in] that may be packed. */
export type ModelWeight = NamedWeight & { readonly isLinear: boolean };

/**
 * All weights of a model, with the adapters of `adapted` merged in at `rank`. Each is computed when it is
 * asked for.
 */
export function mergedWeights(
  { modules, backend }: CausalLm,
  adapted: Adapted<CausalLm> | null = null,
  rank = 0,
): ModelWeight[] {
  const layers = new Map(adapted?.layers.map((layer) => [layer.name, layer]));
  const weights = new Map<string, ModelWeight>();
  const add = (
    name: string,
    shape: readonly number[],
    isLinear: boolean,
    values: () => Promise<Float32Array>,
  ): void => {
    weights.set(name, { name, shape, isLinear, values });
  };
  for (const module of modulesOf(modules)) {
    const adaptedLayer = layers.get(module.name);
    const weight = module instanceof Linear ? module.weight : null;
    for (const parameter of module.parameters())
      add(parameter.name, parameter.view.shape, parameter === weight, () =>
        decodedWeight(parameter, backend),
      );
    if (adaptedLayer)
      add(
        `${module.name}.weight`,
        [adaptedLayer.outFeatures, adaptedLayer.inFeatures],
        true,
        async () => (await mergeLayerAtRank(adaptedLayer, backend, rank)).weight,
      );
    else if (weight && isPacked(weight))
      add(`${module.name}.weight`, weight.shape, true, () => decodedWeight(weight, backend));
  }
  return [...weights.values()];
}

/** The same weights as checkpoints of the family store them: GPT-2's matrices are [in, out]. */
export const asStored = (
  weights: readonly ModelWeight[],
  { storesInOut }: Pick<CausalLm, 'storesInOut'>,
): readonly ModelWeight[] =>
  storesInOut ? weights.map((weight) => (weight.isLinear ? transposedWeight(weight) : weight)) : weights;

function transposedWeight(weight: ModelWeight): ModelWeight {
  const [rows, columns] = weight.shape as readonly [number, number];
  const values = async (): Promise<Float32Array> => transposed(await weight.values(), rows, columns);
  return { ...weight, shape: [columns, rows], values };
}
