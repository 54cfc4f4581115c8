import type { Adapted } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { STORED_LEVEL } from '@qdylora/quant';
import type { ComputeDtype } from '@qdylora/tensor';
import { checkValues, type InputOf, type OutputOf } from '../../config/values/check-values.ts';
import type { ExplicitValues } from '../../config/explicit-values.ts';
import type { Key } from '../../config/key.ts';
import type { AdapterSidecar } from '../adapter/adapter-sidecar.ts';
import { attachAdapter } from '../adapter/attach-adapter.ts';
import { baseQuantization } from '../adapter/base-quantization.ts';
import { chosenTemplate, type TemplateConfig } from './chosen-template.ts';
import { chooseBackend, type BackendChoice, type ChosenBackend } from './choose-backend.ts';
import { noticeLoadedQuantization } from './loaded-quantization.ts';
import { openSource, type ModelSource } from './open-source.ts';
import { weightPrecision, type WeightPrecision } from './weight-precision.ts';
import { storedSidecar, type ReadAdapter } from '../adapter/read-adapter.ts';
import type { Warn } from '../hooks.ts';

/** Keys of the commands that use a model without training it. */
export type ModelConfig = {
  readonly model: string | null;
  readonly backend: 'auto' | 'cpu' | 'cuda' | 'host';
  readonly numThreads: number | null;
  readonly batchInvariant: boolean;
  readonly computeDtype: 'auto' | ComputeDtype;
  readonly quantization: 'nf4' | 'fp4' | 'none' | null;
  readonly doubleQuantization: boolean;
  readonly quantizationBlockSize: number;
  /** Bits a weight at which the model is used; null: as it is stored. */
  readonly level?: number | null;
} & TemplateConfig;

/** A model in memory, perhaps with an adapter around it. */
export interface OpenModel extends Disposable {
  readonly source: ModelSource;
  readonly model: CausalLm;
  readonly adapter: { readonly read: ReadAdapter; readonly adapted: Adapted<CausalLm> } | null;
  readonly computeDtype: ComputeDtype;
  readonly chosen: ChosenBackend;
  readonly precision: WeightPrecision;
  /** Bits a weight at which the model is used: that of the command, or of the adapter's run. */
  readonly level: number;
  dispose(): void;
}

/**
 * Checks the values of a command. Where an adapter is named, the default for the storage of the base is that
 * of its training.
 *
 * @param trainedValues further defaults that come from the training of the adapter
 */
export function checkModelValues<K extends Readonly<Record<string, Key>>>(
  keys: K,
  explicit: ExplicitValues,
  trainedValues: (sidecar: AdapterSidecar) => Partial<InputOf<K>> = () => ({}),
): OutputOf<K> {
  const folder = explicit.get('adapter')?.value;
  const sidecar = typeof folder === 'string' ? storedSidecar(folder) : null;
  // other matrices than those of the run have no such level
  const hasLevel = Object.hasOwn(keys, 'level') && !explicit.has('quantization');
  return checkValues(
    keys,
    explicit,
    sidecar
      ? {
          ...baseQuantization(sidecar),
          ...(hasLevel && sidecar.base.level !== undefined && { level: sidecar.base.level }),
          ...trainedValues(sidecar),
        }
      : {},
  );
}

interface SourceOptions {
  readonly adapter: ReadAdapter | null;
  readonly warn: Warn;
  /** Stops a download, and reading between two weights. */
  readonly signal?: AbortSignal;
}

export interface OpenModelOptions extends SourceOptions {
  readonly backend?: BackendChoice;
  /** That of `openModelSource`, where something was read with it before the weights. */
  readonly source?: ModelSource;
}

/**
 * Opens the files of a model that is used, not trained. Its tokenizer can be read, and no weight is loaded
 * yet.
 *
 * @throws QdyloraError whatever `openSource` throws
 */
export const openModelSource = (
  config: ModelConfig,
  { adapter, warn, signal }: SourceOptions,
): Promise<ModelSource> =>
  openSource(
    {
      ...config,
      quantization: config.quantization ?? 'none', // as it is stored
      quantizationLevels: [config.level ?? STORED_LEVEL],
      init: null,
      adapter: null,
      method: 'qdylora',
      seed: 0,
    },
    { tell: warn, signal, saved: adapter?.saved ?? null, template: chosenTemplate(config) },
  );

/**
 * Loads a model and attaches its adapter.
 *
 * @throws QdyloraError whatever opening, reading and attaching throw
 */
export async function openModel(
  config: ModelConfig,
  { adapter: read, backend, warn, signal, source: openedSource }: OpenModelOptions,
): Promise<OpenModel> {
  const level = config.level ?? STORED_LEVEL;
  const source = openedSource ?? (await openModelSource(config, { adapter: read, warn, signal }));
  const chosen = await chooseBackend(backend ?? config.backend, {
    numThreads: config.numThreads,
    batchInvariant: config.batchInvariant,
    warn,
  });
  try {
    const model = await source.build(chosen.backend, { signal });
    const { quantization } = config;
    if (quantization !== null) noticeLoadedQuantization({ ...config, quantization }, model, warn);
    const adapted = read && (await attachAdapter(model, read, { ...source, warn }));
    const { dispose } = chosen;
    return {
      source,
      model,
      adapter: adapted && { read: read!, adapted },
      computeDtype: chosen.computeDtype(config.computeDtype),
      chosen,
      precision: weightPrecision(model),
      level,
      dispose,
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    chosen.dispose();
    throw error;
  }
}
