/** The kind of a tensor in `adapter_model.safetensors`. */
export type AdapterKey =
  | { readonly kind: 'a' | 'b'; readonly module: string }
  /** A weight that replaces the base's: `lm_head.weight`. */
  | { readonly kind: 'saved'; readonly name: string }
  /**
   * A duplicate of a whole weight (`lm_head.original_module.weight`), which PEFT writes too and ignores when
   * it loads. `of`: the weight.
   */
  | { readonly kind: 'copy'; readonly name: string; readonly of: string }
  | { readonly kind: 'unsupported'; readonly feature: string };

const PREFIX = 'base_model.model.';

/**
 * The key of a matrix: `model.layers.0.self_attn.q_proj`, a →
 * `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`.
 */
export const adapterKey = (module: string, matrix: 'a' | 'b'): string =>
  `${PREFIX}${module}.lora_${matrix.toUpperCase()}.weight`;

/** The key of a saved weight: `lm_head.weight` → `base_model.model.lm_head.weight`. */
export const savedKey = (name: string): string => `${PREFIX}${name}`;

/**
 * Parses a key. State dicts that were saved manually contain the adapter's name (`lora_A.default.weight`).
 */
export function readAdapterKey(key: string): AdapterKey {
  if (key.startsWith(PREFIX)) {
    for (const [kind, endings] of ENDINGS) {
      for (const ending of endings) {
        if (key.endsWith(ending) && key.length > PREFIX.length + ending.length)
          return { kind, module: key.slice(PREFIX.length, -ending.length) };
      }
    }
  }
  const adapted = BASE_WEIGHT.exec(key)?.groups!.module;
  if (adapted !== undefined)
    return {
      kind: 'unsupported',
      feature: `the base's weight of ${adapted}, which PEFT writes beside an adapter of a head or embedding`,
    };
  for (const [part, feature] of FEATURES) if (key.includes(part)) return { kind: 'unsupported', feature };
  const name = key.startsWith(PREFIX) ? key.slice(PREFIX.length).replace(SAVED_PART, '') : '';
  if (WHOLE_WEIGHT.test(name) && !/lora_|\.base_layer\./.test(name)) {
    const of = name.replace(COPY_PART, '');
    return of === name ? { kind: 'saved', name } : { kind: 'copy', name, of };
  }
  return {
    kind: 'unsupported',
    feature: 'weights that are neither LoRA matrices nor whole weights of the base',
  };
}

/** The weight of an adapted module itself. */
const BASE_WEIGHT = /^base_model\.model\.(?<module>.+)\.base_layer\.(?:weight|bias)$/;

/** A part of keys in state dicts that were saved manually. */
const SAVED_PART = /\.modules_to_save\.default(?=\.(?:weight|bias)$)/;
/**
 * A part of further keys that PEFT writes for an embedding or head where it is in `modules_to_save` and the
 * vocabulary was resized.
 */
const COPY_PART = /\.(?:modules_to_save|original_module)(?=\.(?:weight|bias)$)/;
const WHOLE_WEIGHT = /^[^.].*\.(?:weight|bias)$/;

const ENDINGS = [
  ['a', ['.lora_A.weight', '.lora_A.default.weight']],
  ['b', ['.lora_B.weight', '.lora_B.default.weight']],
] as const;

const FEATURES = [
  ['lora_embedding_', 'an adapter of an embedding'],
  ['lora_magnitude_vector', 'DoRA (lora_magnitude_vector)'],
  ['lora_B.bias', 'lora_bias'],
  ['lora_B.default.bias', 'lora_bias'],
] as const;
