import type { CheckpointConfig, QuantizationConfig } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';

/**
 * How the weights of a checkpoint are quantized already; null for full precision.
 *
 * @throws QdyloraError UNSUPPORTED for anything but bitsandbytes 4-bit
 */
export function storedQuantization(
  { quantization }: CheckpointConfig,
  name: string,
): QuantizationConfig | null {
  if (!quantization || (quantization.method === 'bitsandbytes' && quantization.loadIn4bit))
    return quantization;
  throw new QdyloraError('UNSUPPORTED', {
    where: name,
    problem:
      `The weights are quantized with ${methodText(quantization)}; ` + 'only bitsandbytes 4-bit is supported',
    nextStep: 'Start from the unquantized checkpoint.',
  });
}

function methodText({ method, loadIn8bit }: QuantizationConfig): string {
  if (method !== 'bitsandbytes') return method;
  return loadIn8bit ? 'bitsandbytes in 8 bits (load_in_8bit)' : 'bitsandbytes without load_in_4bit';
}
