import { DTYPE_BYTES } from '@qdylora/contract';
import { DyLoraLinear } from '@qdylora/lora-dynamic';
import { modulesOf } from '@qdylora/tensor';

/**
 * Bytes of the adapter of `model` cut at `rank`, in float32: 4 · rank · Σ (in + out) over its adapted layers.
 * Null if the model has no adapted layers in `modules`.
 */
export function adapterBytes(model: unknown, rank: number): number | null {
  const modules = typeof model === 'object' && model !== null && 'modules' in model ? model.modules : null;
  const layers = modulesOf(modules).filter((layer) => layer instanceof DyLoraLinear);
  if (layers.length === 0) return null;
  const features = layers.reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures + outFeatures, 0);
  return DTYPE_BYTES.f32 * rank * features;
}
