import { DTYPE_BYTES } from '@qdylora/contract';
import { DyLoraLinear } from '@qdylora/lora-dynamic';
import { modulesOf } from '@qdylora/tensor';

/**
 * Bytes of the adapter of `model` cut at `rank`, in float32: 4·rank·Σ (in + out) over its adapted layers;
 * null where the model does not show its layers.
 */
export function adapterBytes(model: unknown, rank: number): number | null {
  const modules = typeof model === 'object' && model !== null && 'modules' in model ? model.modules : null;
  const layers = modulesOf(modules).filter((layer) => layer instanceof DyLoraLinear);
  return layers.length === 0
    ? null
    : DTYPE_BYTES.f32 *
        rank *
        layers.reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures + outFeatures, 0);
}
