import type { AdapterMetadata } from '../adapter/write-adapter.ts';
import type { OpenedRun } from './opened-run.ts';

/** What a run's adapter says beside its arrays. */
export const adapterMetadata = ({
  source,
  data,
  config: { quantization, doubleQuantization, quantizationBlockSize, applyChatTemplate },
}: Pick<OpenedRun, 'source' | 'data' | 'config'>): AdapterMetadata => ({
  base: {
    name: source.name,
    model_type: source.config.modelType,
    fingerprint: source.fingerprint,
    ...(source.quantizedFrom && { quantized_from: source.quantizedFrom }),
    quantization,
    double_quantization: doubleQuantization,
    quantization_block_size: quantizationBlockSize,
  },
  prompt: {
    dataset_format: data.report.format,
    apply_chat_template: applyChatTemplate,
    ...(source.template && { chat_template: source.template }),
  },
  saved: source.saved,
});
