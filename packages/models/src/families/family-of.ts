import type { CheckpointConfig } from '@qdylora/checkpoint';
import { UnsupportedArchitectureError } from '@qdylora/contract';
import { assertComputable, assertSizes } from '../config/assert-sizes.ts';
import { acceptOnly, refusedValue } from '../config/refuse-value.ts';
import { falcon } from './falcon.ts';
import type { Family } from './family.ts';
import { gemma } from './gemma.ts';
import { gemma2 } from './gemma2.ts';
import { gemma3Text } from './gemma3-text.ts';
import { gpt2 } from './gpt2.ts';
import { gptNeox } from './gpt-neox.ts';
import { llama } from './llama.ts';
import { mistral } from './mistral.ts';
import { phi3 } from './phi3.ts';
import { qwen2 } from './qwen2.ts';
import { qwen3 } from './qwen3.ts';

/** Every supported family, by `model_type`. */
export const FAMILIES: ReadonlyMap<string, Family> = new Map(
  [llama, mistral, qwen2, qwen3, gemma, gemma2, gemma3Text, phi3, falcon, gptNeox, gpt2].map((family) => [
    family.modelType,
    withCheckedConfig(family as unknown as Family),
  ]),
);

/**
 * The same family, whose `readConfig` also refuses sizes beyond any model, values that give no numbers, and
 * two options that transformers has for every family: attention to later tokens (`is_causal: false`), and
 * layers with other values (`per_layer_config`).
 */
function withCheckedConfig(family: Family): Family {
  return {
    ...family,
    readConfig(config) {
      assertSizes(config);
      acceptOnly(config, 'is_causal', [true]);
      refuseUnlikeLayers(config);
      const resolved = family.readConfig(config);
      assertComputable(config, resolved);
      return resolved;
    },
  };
}

function refuseUnlikeLayers(config: CheckpointConfig): void {
  const values = config.raw.per_layer_config ?? {};
  if (typeof values === 'object' && Object.keys(values).length === 0) return;
  throw refusedValue(
    config,
    'per_layer_config',
    'empty: layers with values of their own are not implemented',
    values,
  );
}

/**
 * The family of a `model_type`.
 *
 * @throws UnsupportedArchitectureError with the list of supported families
 */
export function familyOf(modelType: string, where: string): Family {
  const family = FAMILIES.get(modelType);
  if (!family) throw new UnsupportedArchitectureError(where, modelType, [...FAMILIES.keys()]);
  return family;
}
