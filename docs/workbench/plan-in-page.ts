import { hfConfigOf } from '@qdylora/checkpoint';
import { createDryBackend, QdyloraError, type DryBackend } from '@qdylora/contract';
import {
  JAVASCRIPT_BYTES,
  planModel,
  plannedFromConfig,
  resolveRun,
  TRAINING_BYTES,
  valuesOfOptions,
  type MemoryPart,
  type ModelPlan,
} from '../page-sources.ts';

export interface PlanRequest {
  /** Content of a `config.json`. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Keys of the run, as options of `planMemory`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly memoryBytes: number;
}

/** Resident set of `qdylora plan` after a collection, on Linux with Node 20. */
const PROGRAM_BYTES = 76e6;

/** Memory of a training process beside its arrays. The command measures the first part. */
export const PROCESS_PARTS: readonly MemoryPart[] = [
  { part: 'Node, program and kernels', bytes: PROGRAM_BYTES },
  { part: 'training thread, tokenizer and rows', bytes: TRAINING_BYTES },
  { part: 'JavaScript of the steps', bytes: JAVASCRIPT_BYTES },
];

const dryBackend = (): DryBackend & Disposable => ({ ...createDryBackend(), [Symbol.dispose]: () => {} });

/**
 * The plan of `qdylora plan --backend host`, by the same code, from a config alone.
 *
 * @throws QdyloraError as the command
 */
export async function planInPage({ config, options, memoryBytes }: PlanRequest): Promise<ModelPlan> {
  const run = resolveRun(valuesOfOptions({ model: 'config.json', ...options }));
  const model = hfConfigOf('config.json', config);
  if (model.quantization)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'config.json',
      problem: 'This is the config of a model that is quantized already, whose files a page cannot see.',
      nextStep: 'Take the config of the original model, or use the command.',
    });
  const computeDtype = run.computeDtype === 'auto' ? 'bf16' : run.computeDtype;
  return planModel({ ...run, computeDtype }, plannedFromConfig(model), {
    dry: dryBackend,
    processParts: PROCESS_PARTS,
    isOnDevice: false,
    memoryBytes,
  });
}
