import { oneOf, required, trueOrFalse, wholeNumber, type OptionRules } from '@qdylora/contract';
import {
  QUANTIZATION_KINDS,
  SCALE_ROUNDINGS,
  type QuantizationKind,
  type ScaleRounding,
} from '@qdylora/quant';

/** How linear layers are stored: in the precision of the checkpoint (`none`), or in 4 bits. */
export interface Quantization {
  readonly kind: QuantizationKind | 'none';
  /** Block scales in 8 bits; true by default. */
  readonly doubleQuantization?: boolean;
  /** Weights that share a scale; 64 by default. */
  readonly blockSize?: number;
  /** How scales are rounded to 8 bits; `nearest` by default. `bitsandbytes` works in host memory only. */
  readonly scaleRounding?: ScaleRounding;
}

export const QUANTIZATION_RULES: OptionRules<Quantization> = {
  kind: required(oneOf(['none', ...QUANTIZATION_KINDS])),
  doubleQuantization: trueOrFalse,
  blockSize: wholeNumber(1),
  scaleRounding: oneOf(SCALE_ROUNDINGS),
};
