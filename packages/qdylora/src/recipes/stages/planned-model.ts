import { openCheckpoint, readHfConfig, type CheckpointConfig } from '@qdylora/checkpoint';
import { familyOf } from '@qdylora/models';
import type { RunConfig } from '../../config/resolve-run.ts';
import { missingKey } from './load-data.ts';
import { localConfig, type LocalModelOptions } from './local-model.ts';

/** A model that is planned for: what its config says, and how its tables will lie in memory. */
export interface PlannedModel { readonly config: CheckpointConfig; readonly dtype: 'f32' | 'bf16' }

/**
 * Reads what a plan needs of a model: `config.json` alone, be it of a folder, a file of its own, or one of the hub; of a .safetensors or .gguf file its header.
 *
 * @throws UnsupportedArchitectureError; QdyloraError MISSING_FILE, BAD_FILE, BAD_CONFIG
 */
export async function plannedModel({ model, init }: Pick<RunConfig, 'model' | 'init'>, hub: LocalModelOptions = {}): Promise<PlannedModel> {
  const path = init ?? (model && await localConfig(model, hub));
  if (!path) throw missingKey('model', 'Name the base model: --model path/to/config.json.');
  const planned = path.endsWith('.json') ? ofConfig(readHfConfig(path)) : await ofWeights(path);
  familyOf(planned.config.modelType, path).readConfig(planned.config);
  return planned;
}

/** bfloat16 stays as it is stored; everything else becomes float32 when it is loaded. */
const ofConfig = (config: CheckpointConfig): PlannedModel => ({ config, dtype: config.dtype === 'bfloat16' ? 'bf16' : 'f32' });

async function ofWeights(path: string): Promise<PlannedModel> {
  using checkpoint = await openCheckpoint(path);
  return { config: checkpoint.config, dtype: [...checkpoint.tensors.values()].some(({ dtype, shape }) => dtype === 'BF16' && shape.length === 2) ? 'bf16' : 'f32' };
}
