import type { AdapterBase } from '../adapter/write-adapter.ts';
import type { OpenedRun } from './opened-run.ts';

/** The base of a run's adapter, as `qdylora.json` names it. */
export const baseOf = ({
  source,
  config: { quantization, doubleQuantization, quantizationBlockSize },
}: Pick<OpenedRun, 'source' | 'config'>): AdapterBase => ({
  name: source.name,
  model_type: source.config.modelType,
  fingerprint: source.fingerprint,
  quantization,
  double_quantization: doubleQuantization,
  quantization_block_size: quantizationBlockSize,
});
