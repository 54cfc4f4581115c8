/** What one tensor of `adapter_model.safetensors` is. */
export type AdapterKey =
  | { readonly kind: 'a' | 'b'; readonly module: string }
  | { readonly kind: 'unsupported'; readonly feature: string };

const PREFIX = 'base_model.model.';

/** `model.layers.0.self_attn.q_proj`, a → `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
export const adapterKey = (module: string, matrix: 'a' | 'b'): string => `${PREFIX}${module}.lora_${matrix.toUpperCase()}.weight`;

/** The same, backwards. State dicts saved by hand keep the adapter's name (`lora_A.default.weight`). */
export function readAdapterKey(key: string): AdapterKey {
  if (key.startsWith(PREFIX)) {
    for (const [kind, endings] of ENDINGS) {
      for (const ending of endings) {
        if (key.endsWith(ending) && key.length > PREFIX.length + ending.length) return { kind, module: key.slice(PREFIX.length, -ending.length) };
      }
    }
  }
  for (const [part, feature] of FEATURES) if (key.includes(part)) return { kind: 'unsupported', feature };
  return { kind: 'unsupported', feature: 'weights that are no LoRA matrices (modules_to_save?)' };
}

const ENDINGS = [['a', ['.lora_A.weight', '.lora_A.default.weight']], ['b', ['.lora_B.weight', '.lora_B.default.weight']]] as const;

const FEATURES = [
  ['lora_embedding_', 'an adapter of an embedding'], ['lora_magnitude_vector', 'DoRA (lora_magnitude_vector)'], ['lora_B.bias', 'lora_bias'], ['lora_B.default.bias', 'lora_bias'],
] as const;
