import { snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { checkValues } from '../../config/values/check-values.ts';
import { mergeExplicit } from '../../config/explicit-values.ts';
import { KEYS } from '../../config/keys.ts';
import { readRunYaml } from '../../config/yaml/read-run-yaml.ts';
import { PLAN_KEYS } from '../../config/verb-keys.ts';
import { shortQuantizationText } from '../../recipes/adapter/base-quantization.ts';
import { planMemoryFrom, type MemoryPlan } from '../../recipes/plan-memory.ts';
import type { MemoryParts } from '../../recipes/memory-plan/memory-forecast.ts';
import { recomputeText } from '../../recipes/memory-plan/resolve-recompute.ts';
import { countText } from '../../report/number-text.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { STOPPING } from '../interrupts.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { columns } from '../render/table.ts';
import { timeLine } from '../render/time-line.ts';
import type { Terminal } from '../terminal.ts';

export function addPlanCommand(program: Command, context: Context): void {
  const command = program
    .command('plan')
    .argument('[run.yaml]', 'File with keys and values; flags override them')
    .summary('forecast the memory and time of a run')
    .description(
      'Forecasts the peak memory of a training run, part by part. Needs only the config.json of the model: ' +
        'no weights are read or downloaded. Says whether the run fits into the memory of this machine or ' +
        'its GPU (or into --memory) and, if it does not, which keys to change. Estimates the time of a ' +
        'step from one measured matrix multiplication; train --dry-run measures the model itself.',
    );
  addKeyFlags(addKeyFlags(command, PLAN_KEYS), KEYS).option('--json', 'Print one JSON document');
  command.action(
    async (file: string | undefined, flags: CommonFlags & Record<string, string | undefined>) => {
      const { memory } = checkValues(PLAN_KEYS, explicitFlags(PLAN_KEYS, flags));
      const explicit = mergeExplicit(
        file === undefined ? new Map() : await readRunYaml(file),
        explicitFlags(KEYS, flags),
      );
      const tell = (text: string): void => context.terminal.note(text);
      const plan = await context.interruptible(async (signal) => {
        const options = { memoryBytes: memory, isForThisMachine: true, signal, tell };
        const planned = await planMemoryFrom(explicit, options);
        signal.throwIfAborted(); // it may have fired after the last check
        return planned;
      }, STOPPING);
      const isThisMachine = memory === null;
      printResult(context, flags, snakeCased(plan), () => planLines(plan, isThisMachine, context.terminal));
    },
  );
}

function planLines(plan: MemoryPlan, isThisMachine: boolean, { paint }: Terminal): string[] {
  const { config } = plan;
  const storage = shortQuantizationText(config);
  return [
    `${plan.modelType}, ${countText(plan.parameterCount)} parameters, ${storage}; ${trainedText(plan)}`,
    `one pass: ${config.microBatchSize} × ${config.maxSeqLength} tokens, ` +
      `${recomputeText(plan.recompute, plan.layers)}; ${config.optimizer}; ${plan.backend}, ` +
      `${config.computeDtype}`,
    '',
    ...columns(memoryRows(plan, plan.process ? 'total of the GPU' : 'total'), ['left', 'right']),
    ...(plan.process
      ? [
          '',
          'beside the GPU:',
          ...columns(memoryRows(plan.process, 'total of the process'), ['left', 'right']),
        ]
      : []),
    ...workerLines(plan),
    '',
    ...limitLines(plan, isThisMachine),
    timeLine(plan),
    ...plan.notes.map((note) => paint('yellow', note)),
  ];
}

const memoryRows = ({ parts, totalBytes }: MemoryParts, total: string): string[][] => [
  ...parts.filter(({ bytes }) => bytes > 0).map(({ part, bytes }) => [part, byteSizeText(bytes)]),
  [`${total}, about`, byteSizeText(totalBytes)],
];

/** What each worker needs, which also adds gradients in a tree and exchanges them. */
function workerLines({ workers = [], process }: MemoryPlan): string[] {
  if (workers.length === 0) return [];
  const rows = workers.map(({ maxRank, totalBytes }, i) => [
    `worker ${i}, ranks up to ${maxRank}, about`,
    byteSizeText(totalBytes),
  ]);
  const sum = workers.reduce((bytes, { totalBytes }) => bytes + totalBytes, 0);
  if (!process) rows.push(['all of them on one machine, about', byteSizeText(sum)]);
  return ['', 'on the workers of max_rank_by_worker:', ...columns(rows, ['left', 'right'])];
}

const trainedText = ({ adaptedLayers, trainableCount, config }: MemoryPlan): string =>
  adaptedLayers === 0
    ? 'all of them trained'
    : `${adaptedLayers} layers adapted, ranks ${config.ranks!.join(' ')}, ${countText(trainableCount)} ` +
      `trainable`;

/** Keys after whose change the adapter is not that of the run as it was asked for. */
const CHANGES_RESULT: ReadonlySet<string> = new Set([
  'double_quantization',
  'quantization',
  'method',
  'max_seq_length',
  'lora_r',
  'ranks',
]);

/** Whether the run, or its largest worker, fits into the memory; else which keys to change. */
function limitLines({ limit, workers, process, ...plan }: MemoryPlan, isThisMachine: boolean): string[] {
  const { memoryBytes, fits, fit } = limit!;
  const owner = process ? ', which this GPU has free' : ', the memory of this machine';
  const memoryText = `${byteSizeText(memoryBytes)}${isThisMachine ? owner : ''}`;
  const totalBytes = workers ? Math.max(...workers.map((worker) => worker.totalBytes)) : plan.totalBytes;
  const subject = workers ? 'The largest worker' : 'The run';
  if (fits)
    return [`${subject} fits into ${memoryText}: ${byteSizeText(memoryBytes - totalBytes)} to spare.`];
  const changes = Object.entries(fit?.values ?? {}).map(
    ([key, value]) =>
      `  ${key}: ${valueText(key, value)}${CHANGES_RESULT.has(key) ? '  (changes the result)' : ''}`,
  );
  return [
    `${subject} does not fit into ${memoryText}: ${byteSizeText(totalBytes - memoryBytes)} too much.`,
    ...(fit
      ? [`It would need ${byteSizeText(fit.totalBytes)} with these keys:`, ...changes]
      : ['No change of keys makes it fit: it needs a smaller model, or more memory.']),
  ];
}

/** A value as `run.yaml` takes it. A budget is rounded down, so that it still fits. */
function valueText(key: string, value: unknown): string {
  if (Array.isArray(value)) return `[${value.join(', ')}]`;
  return key.endsWith('_budget') ? `${Math.floor((value as number) / 1e6)}MB` : String(value);
}
