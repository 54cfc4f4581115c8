/** What tells whether an adapter was trained on these weights. */
export interface BaseIdentity {
  readonly fingerprint: string;
  /** Fingerprint of the model that `qdylora quantize` wrote this one from; null for any other model. */
  readonly quantizedFrom: string | null;
}

/**
 * Key of `quantization_config` in which `qdylora quantize` keeps the fingerprint of the model that it read. A
 * model with other weights, merged or trained, is written without that config.
 */
export const QUANTIZED_FROM = 'qdylora_quantized_from';

/** The fingerprint of the original in a config; null: `qdylora quantize` did not write it. */
export function quantizedFromOf({
  quantization_config: quantization,
}: Readonly<Record<string, unknown>>): string | null {
  const fingerprint = (quantization as Record<string, unknown> | null | undefined)?.[QUANTIZED_FROM];
  return typeof fingerprint === 'string' ? fingerprint : null;
}

/** Whether two bases are the same weights. What `qdylora quantize` wrote counts as what it read. */
export function isSameBase(one: BaseIdentity, other: BaseIdentity): boolean {
  const fingerprints = [other.fingerprint, other.quantizedFrom];
  return [one.fingerprint, one.quantizedFrom].some((each) => each !== null && fingerprints.includes(each));
}
