import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { matcherOf } from '@qdylora/lora-dynamic';
import { OPTIMIZER_FILE } from '@qdylora/trainer';
import { resolveRun, type InheritedValues, type RunConfig } from '../../config/resolve-run.ts';
import type { ExplicitValues } from '../../config/explicit-values.ts';
import { KEYS } from '../../config/keys.ts';
import { refusedValue } from '../../config/values/check-combinations.ts';
import { assertKnownKeys } from '../../config/values/check-values.ts';
import { missingKey } from '../../config/names/missing-key.ts';
import { baseQuantization } from '../adapter/base-quantization.ts';
import { readAdapter, type ReadAdapter } from '../adapter/read-adapter.ts';
import { checkpointOf } from '../run-folder/output-folder.ts';

/** A resolved run with the values that it needs to start. */
export type PreparedRun = RunConfig & { readonly outputDir: string; readonly dataset: string[] };

/**
 * Resolves explicit values into a run. A run that starts from an adapter takes over its ranks, scale,
 * dropout and layers, and how its base was quantized.
 *
 * @throws QdyloraError BAD_CONFIG for a wrong or missing value, or for layers that the adapter does not have;
 * MISSING_FILE
 */
export function prepareRun(explicit: ExplicitValues): PreparedRun {
  const config = resolveShape(explicit);
  if (!config.dataset) throw missingKey('dataset', 'Name the rows to train on: --dataset rows.jsonl.');
  if (!config.outputDir)
    throw missingKey('output_dir', 'Name a folder for what the run writes: --output-dir runs/first.');
  const run = config as PreparedRun;
  if (checkpointOf(run) === null) assertStateExists(run); // a run that resumes has its own
  return run;
}

/** Found before the model is loaded. The trainer checks what is in the folder. */
function assertStateExists({ optimizerState: folder }: RunConfig): void {
  if (folder === null || existsSync(join(folder, OPTIMIZER_FILE))) return;
  throw new QdyloraError('MISSING_FILE', {
    where: 'optimizer_state',
    problem: `There is no ${OPTIMIZER_FILE} in ${folder}.`,
    nextStep: 'Name a folder of checkpoints/ of the run that trained the adapter.',
    details: { folder },
  });
}

function inheritedValues(
  { state, sidecar, dropout }: ReadAdapter,
  explicit: ExplicitValues,
): InheritedValues {
  const level = explicit.has('quantization') ? undefined : sidecar?.base.level;
  return {
    ranks: state.ranks,
    loraAlpha: state.alpha,
    loraScaling: state.scaling,
    loraDropout: dropout,
    ...(sidecar && {
      base: {
        ...baseQuantization(sidecar),
        ...(level !== undefined && { quantizationLevels: [level] }),
      },
    }),
  };
}

/** Last parts of the names of an adapter's layers, such as `q_proj`. */
const layerKinds = ({ layers }: ReadAdapter['state']): string[] => [
  ...new Set(layers.map(({ name }) => name.split('.').at(-1)!)),
];

/** @throws QdyloraError BAD_CONFIG for target modules that leave out a layer of the adapter, or name more */
function assertSameLayers(
  { state, folder }: ReadAdapter,
  targets: RunConfig['targetModules'],
  explicit: ExplicitValues,
): void {
  const isIdle = (target: string): boolean => !state.layers.some(({ name }) => matcherOf([target])(name));
  const matches = matcherOf(targets);
  const isSame =
    state.layers.every(({ name }) => matches(name)) && !(Array.isArray(targets) && targets.some(isIdle));
  if (isSame) return;
  throw refusedValue(
    explicit,
    'targetModules',
    (name) => `${name('targetModules')} are not the layers of ${folder}: ${layerKinds(state).join(', ')}`,
    'Leave it out: an adapter keeps its layers.',
  );
}

/** A run like that of `prepareRun`, without a dataset and an output folder: enough for a plan. */
export function resolveShape(explicit: ExplicitValues): RunConfig {
  assertKnownKeys(KEYS, explicit); // before the adapter: `adapter` of Axolotl is no folder
  const folder = explicit.get('adapter')?.value;
  const adapter = typeof folder === 'string' ? readAdapter(folder) : null;
  const resolved = resolveRun(explicit, adapter && inheritedValues(adapter, explicit));
  if (adapter && explicit.has('targetModules')) assertSameLayers(adapter, resolved.targetModules, explicit);
  // an adapter keeps its layers, also where wider ones are named, such as all-linear
  const config = adapter ? { ...resolved, targetModules: layerKinds(adapter.state) } : resolved;
  if (!config.model && !config.init)
    throw missingKey('model', 'Name the base model: --model path/to/folder.');
  return config;
}
