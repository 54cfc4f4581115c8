import { UnsupportedArchitectureError } from '@qdylora/contract';
import type { Family } from './family.ts';
import { llama } from './llama.ts';

/** Every family that has a forward function, by `model_type`. */
export const FAMILIES: ReadonlyMap<string, Family> = new Map([llama].map((family) => [family.modelType, family as unknown as Family]));

/** The family of a `model_type`.  @throws UnsupportedArchitectureError that lists the supported ones */
export function familyOf(modelType: string, where: string): Family {
  const family = FAMILIES.get(modelType);
  if (!family) throw new UnsupportedArchitectureError(where, modelType, [...FAMILIES.keys()]);
  return family;
}
