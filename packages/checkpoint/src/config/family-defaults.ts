/** Values of keys that a config may leave out, where transformers takes others than for Llama. */
export interface FamilyDefaults {
  /** `num_key_value_heads`; as many as query heads in other families. */
  readonly kvHeads?: number;
  /** `head_dim`; `hidden_size / num_attention_heads` in other families. */
  readonly headDim?: number;
  /** `sliding_window`; none in other families. */
  readonly window?: number;
  /** The last layer of each group of so many has full attention, the others have a window. */
  readonly windowPeriod?: number;
  /** `query_pre_attn_scalar` */
  readonly queryScalar?: number;
  /** `attn_logit_softcapping` */
  readonly scoreSoftCap?: number;
  /** `final_logit_softcapping` */
  readonly logitSoftCap?: number;
  /** Base θ of the rotary embedding, in layers without a window; `DEFAULT_THETA` in other families. */
  readonly theta?: number;
}

/** The default base θ of transformers; that of layers with a window in Gemma 3. */
export const DEFAULT_THETA = 10_000;

/** By `model_type`, as in the config classes of transformers 5. */
export const FAMILY_DEFAULTS = {
  mistral: { kvHeads: 8, window: 4096 },
  qwen2: { kvHeads: 32, window: 4096 },
  qwen3: { kvHeads: 32, headDim: 128, window: 4096 },
  gemma: { kvHeads: 16, headDim: 256 },
  gemma2: {
    kvHeads: 4,
    headDim: 256,
    window: 4096,
    windowPeriod: 2,
    queryScalar: 256,
    scoreSoftCap: 50,
    logitSoftCap: 30,
  },
  gemma3_text: {
    kvHeads: 4,
    headDim: 256,
    window: 4096,
    windowPeriod: 6,
    queryScalar: 256,
    theta: 1_000_000,
  },
} as const satisfies Readonly<Record<string, FamilyDefaults>>;

/** The defaults of a `model_type`; empty where they are Llama's. */
export const familyDefaultsOf = (modelType: unknown): FamilyDefaults =>
  typeof modelType === 'string' && Object.hasOwn(FAMILY_DEFAULTS, modelType)
    ? FAMILY_DEFAULTS[modelType as keyof typeof FAMILY_DEFAULTS]
    : {};
