import { FAMILY_DEFAULTS } from '../config/family-defaults.ts';
import type { GgufFacts } from './gguf-facts.ts';

/** Values of a Gemma version that GGUF files do not contain. llama.cpp decides in the same way. */
export interface GemmaRules {
  /** The last layer of each group of so many has full attention, the others have a window. */
  readonly windowPeriod: number;
  /** Number of layers of the 27b model, which scales q by √(hidden / heads); other sizes use √headDim. */
  readonly layersOf27b: number;
}

export const GEMMA2_RULES: GemmaRules = {
  windowPeriod: FAMILY_DEFAULTS.gemma2.windowPeriod,
  layersOf27b: 46,
};
export const GEMMA3_RULES: GemmaRules = {
  windowPeriod: FAMILY_DEFAULTS.gemma3_text.windowPeriod,
  layersOf27b: 62,
};

/** The rules of a `model_type`; undefined for other families and for Gemma 1. */
export const gemmaRulesOf = (modelType: string): GemmaRules | undefined =>
  modelType === 'gemma2' ? GEMMA2_RULES : modelType === 'gemma3_text' ? GEMMA3_RULES : undefined;

type Sizes = Pick<GgufFacts, 'hiddenSize' | 'heads' | 'headDim' | 'layers'>;

/** `query_pre_attn_scalar`: q is divided by its square root. */
export const gemmaQueryScalar = (
  { layersOf27b }: GemmaRules,
  { hiddenSize, heads, headDim, layers }: Sizes,
): number => (layers === layersOf27b ? hiddenSize / heads : headDim);

/** Whether layer i has a window; with a period of 0 every layer has one. */
export const hasWindow = (windowPeriod: number, i: number): boolean =>
  windowPeriod === 0 || (i + 1) % windowPeriod !== 0;

/** A layer's entry of `layer_types`. */
export const layerType = (isSliding: boolean): string => (isSliding ? 'sliding_attention' : 'full_attention');
