import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  openCheckpoint,
  openSafetensors,
  openSavedWeights,
  readHfConfig,
  type CheckpointConfig,
  type TensorEntry,
} from '@qdylora/checkpoint';
import { configWithSavedWeights, familyOf, withOwnHead } from '@qdylora/models';
import { quantStateName } from '@qdylora/quant';
import type { RunConfig } from '../../config/resolve-run.ts';
import { missingKey } from '../../config/names/missing-key.ts';
import { localConfig, type LocalModelOptions } from '../opening/local-model.ts';
import { readAdapter, type AdapterSaved } from '../adapter/read-adapter.ts';

/** A model to plan for: its config, and the types of its arrays in memory. */
export interface PlannedModel {
  readonly config: CheckpointConfig;
  readonly dtype: 'f32' | 'bf16';
  /**
   * Exceptions by name: weights that the adapter holds whole, and matrices that a 4-bit checkpoint stores in
   * more bits.
   */
  readonly dtypes: ReadonlyMap<string, 'f32' | 'bf16'>;
}

/**
 * Reads the facts that a plan needs: `config.json` (of a folder, alone, or on the hub); for a .safetensors or
 * .gguf file and for a 4-bit folder also the headers. An adapter that the run starts from is searched for
 * weights that replace those of the base.
 *
 * @throws UnsupportedArchitectureError; QdyloraError MISSING_FILE, BAD_FILE, BAD_CONFIG, BAD_ADAPTER
 */
export async function plannedModel(
  { model, init, adapter }: Pick<RunConfig, 'model' | 'init' | 'adapter'>,
  hub: LocalModelOptions = {},
): Promise<PlannedModel> {
  const path = init ?? (model && (await localConfig(model, hub)));
  if (!path) throw missingKey('model', 'Name the base model: --model path/to/config.json.');
  const planned = path.endsWith('.json') ? plannedFromConfig(readHfConfig(path)) : await ofWeights(path);
  familyOf(planned.config.modelType, path).readConfig(planned.config);
  const saved = adapter ? readAdapter(adapter).saved : null;
  return saved ? withSaved(planned, saved) : planned;
}

function withSaved({ config, dtype, dtypes: others }: PlannedModel, saved: AdapterSaved): PlannedModel {
  using savedWeights = openSavedWeights(saved.folder);
  const { tensors } = savedWeights;
  const dtypes = new Map([
    ...others,
    ...[...tensors].map(([name, tensor]) => [name, inMemory(tensor)] as const),
  ]);
  return {
    config: configWithSavedWeights({ name: config.path, config }, { ...saved, tensors }),
    dtype,
    dtypes,
  };
}

const NONE: PlannedModel['dtypes'] = new Map();

/** bfloat16 stays as it is; everything else becomes float32 at load. */
const inMemory = ({ dtype }: Pick<TensorEntry, 'dtype'>): 'f32' | 'bf16' =>
  dtype === 'BF16' ? 'bf16' : 'f32';

/** A model of which only the config is known. */
export const plannedFromConfig = (config: CheckpointConfig): PlannedModel => ({
  config,
  dtype: config.dtype === 'bfloat16' ? 'bf16' : 'f32',
  dtypes: config.quantization ? plainMatrices(config) : NONE,
});

/**
 * Matrices in the files beside a config that are not packed, and packed heads and embeddings, which are
 * decoded to float32 at load. Each has two names: files saved without a head leave out a prefix.
 */
function plainMatrices({ path, modelType }: CheckpointConfig): PlannedModel['dtypes'] {
  const folder = dirname(path);
  const { base, head, embedding } = familyOf(modelType, path).names;
  const tables = [head, embedding, embedding.slice(base.length)].map((name) => `${name}.weight`);
  return new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith('.safetensors'))
      .flatMap((name) => {
        using file = openSafetensors(join(folder, name));
        const plain = [...file.tensors.values()].filter(
          ({ dtype, shape }) => shape.length === 2 && ['F32', 'F16', 'BF16'].includes(dtype),
        );
        const dtypes = [
          ...plain.map((entry) => [entry.name, inMemory(entry)] as const),
          ...tables.flatMap((name) =>
            quantStateName(name, file.tensors) === undefined ? [] : [[name, 'f32'] as const],
          ),
        ];
        return dtypes.flatMap(([name, dtype]) =>
          [name, `${base}${name}`].map((tensorName) => [tensorName, dtype] as const),
        );
      }),
  );
}

async function ofWeights(path: string): Promise<PlannedModel> {
  using checkpoint = await openCheckpoint(path);
  return {
    config: withOwnHead(checkpoint).config,
    dtype: [...checkpoint.tensors.values()].some(({ dtype, shape }) => dtype === 'BF16' && shape.length === 2)
      ? 'bf16'
      : 'f32',
    dtypes: NONE,
  };
}
