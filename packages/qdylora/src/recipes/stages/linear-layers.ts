import type { Checkpoint } from '@qdylora/checkpoint';
import { f32View } from '@qdylora/contract';
import { familyOf, type WeightSource } from '@qdylora/models';
import { Linear, Parameter } from '@qdylora/tensor';

/** A matrix of a model's linear layers; its head and embedding are none. */
export interface LinearLayer { readonly name: string; readonly shape: readonly [number, number] }

/** The linear layers of a checkpoint's architecture, without loading any: the family's own builder, over a source that only takes notes. */
export function linearLayersOf({ config, name }: Pick<Checkpoint, 'config' | 'name'>): LinearLayer[] {
  const family = familyOf(config.modelType, name), found: LinearLayer[] = [], nothing = (key: string): Parameter => new Parameter(key, f32View([0]));
  const notes: WeightSource = {
    linear(layer, shape) {
      found.push({ name: layer, shape });
      return new Linear(layer, nothing(`${layer}.weight`));
    },
    table: (key) => nothing(key),
    vector: (key) => nothing(key),
  };
  family.build(family.readConfig(config), notes);
  return found;
}
