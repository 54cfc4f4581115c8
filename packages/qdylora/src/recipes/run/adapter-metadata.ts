import { anchorLevel } from '@qdylora/lora-dynamic';
import { STORED_LEVEL } from '@qdylora/quant';
import type { AdapterMetadata } from '../adapter/write-adapter.ts';
import type { OpenedRun } from './opened-run.ts';

/** What a run's adapter says beside its arrays. */
export const adapterMetadata = ({
  source,
  data,
  config: { quantization, doubleQuantization, quantizationBlockSize, quantizationLevels, applyChatTemplate },
}: Pick<OpenedRun, 'source' | 'data' | 'config'>): AdapterMetadata => ({
  base: {
    name: source.name,
    model_type: source.config.modelType,
    fingerprint: source.fingerprint,
    ...(source.quantizedFrom && { quantized_from: source.quantizedFrom }),
    quantization,
    double_quantization: doubleQuantization,
    quantization_block_size: quantizationBlockSize,
    ...levelOf(quantizationLevels),
  },
  prompt: {
    dataset_format: data.report.format,
    apply_chat_template: applyChatTemplate,
    ...(source.template && { chat_template: source.template }),
  },
  saved: source.saved,
});

/** Only where it is not the usual one, so that other adapters stay as they were. */
function levelOf(levels: readonly number[]): { readonly level?: number } {
  const level = anchorLevel(levels);
  return level === STORED_LEVEL ? {} : { level };
}
