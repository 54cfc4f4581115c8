import type { InputOf } from '../config/check-values.ts';
import { givenByOptions, type GivenValues } from '../config/given-values.ts';
import { MERGE_KEYS } from '../config/verb-keys.ts';
import type { RecipeHooks } from './evaluate.ts';
import { mergedTensors } from './stages/adapted-weights.ts';
import type { BackendChoice } from './stages/choose-backend.ts';
import { missingKey } from './stages/load-data.ts';
import { checkModelValues, openModel } from './stages/open-model.ts';
import { ranksOf, readAdapter } from './stages/read-adapter.ts';
import { configWithDtype, writeModelFolder } from './stages/write-model.ts';

export type MergeAdapterOptions = Omit<InputOf<typeof MERGE_KEYS>, 'backend'> & Pick<RecipeHooks, 'onNotice'> & { readonly backend?: BackendChoice };

export interface MergedModel { readonly outputDir: string; readonly rank: number; readonly layers: number; readonly dtype: 'bf16' | 'f32' }

/**
 * Folds an adapter at one rank into a copy of its base, and writes a Hugging Face folder. The base is what the adapter saw in training: 4-bit weights are
 * decoded first, unless `quantization: none` asks for the original ones.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_ADAPTER; BAD_ARGUMENT for a rank that there is not; NOT_EMPTY, WRITE_FAILED
 */
export function mergeAdapter({ onNotice, ...options }: MergeAdapterOptions): Promise<MergedModel> {
  return mergeGivenValues(givenByOptions(options), { backend: options.backend, onNotice });
}

/** The same for values that stand elsewhere (flags). */
export async function mergeGivenValues(given: GivenValues, { backend, onNotice = () => {} }: Pick<RecipeHooks, 'onNotice'> & { readonly backend?: BackendChoice }): Promise<MergedModel> {
  const config = checkModelValues(MERGE_KEYS, given), { adapter: folder, outputDir, dtype } = config;
  if (!folder) throw missingKey('adapter', 'Name the adapter to merge: --adapter runs/first/adapter.');
  if (!outputDir) throw missingKey('output_dir', 'Name a folder for the merged model: --output-dir models/first.');
  const adapter = readAdapter(folder), [rank] = ranksOf(adapter, [config.rank ?? adapter.state.maxRank]) as [number];
  using opened = await openModel(config, { adapter, backend, warn: onNotice });
  const { adapted } = opened.adapter!, { source } = opened;
  await writeModelFolder(outputDir, { tensors: mergedTensors(opened, adapted, rank, dtype), config: configWithDtype(source.config, dtype), tokenizerFolder: source.tokenizerFolder });
  return { outputDir, rank, layers: adapted.layers.length, dtype };
}
