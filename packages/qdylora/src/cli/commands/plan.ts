import type { Command } from 'commander';
import { memorySizeText } from '../../config/byte-size.ts';
import { checkValues } from '../../config/check-values.ts';
import { mergeGiven } from '../../config/given-values.ts';
import { KEYS } from '../../config/keys.ts';
import { readRunYaml } from '../../config/read-run-yaml.ts';
import { PLAN_KEYS } from '../../config/verb-keys.ts';
import { planMemoryGiven, type MemoryPlan } from '../../recipes/plan-memory.ts';
import { recomputeText } from '../../recipes/memory-plan/resolve-recompute.ts';
import { countText } from '../../report/number-text.ts';
import { snakeCased } from '../../recipes/run-folder/snake-cased.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { addKeyFlags, givenFlags } from '../key-flags.ts';
import { columns } from '../render/table.ts';
import type { Terminal } from '../terminal.ts';

export function addPlanCommand(program: Command, context: Context): void {
  const command = program
    .command('plan')
    .argument('[run.yaml]', 'Keys and values; flags win over it')
    .summary('how much memory a run would need')
    .description(
      "Says what training a model would need at most, part by part, from its config.json alone: the run's " +
        'own step, on a backend that keeps books and computes nothing. With --memory, says whether it ' +
        'fits, and what to change where it does not.',
    );
  addKeyFlags(addKeyFlags(command, PLAN_KEYS), KEYS).option('--json', 'Print one JSON document');
  command.action(
    async (file: string | undefined, flags: CommonFlags & Record<string, string | undefined>) => {
      const { memory: memoryBytes } = checkValues(PLAN_KEYS, givenFlags(PLAN_KEYS, flags));
      const given = mergeGiven(
        file === undefined ? new Map() : await readRunYaml(file),
        givenFlags(KEYS, flags),
      );
      const plan = await context.interruptible((signal) =>
        planMemoryGiven(given, { memoryBytes, signal, tell: (text) => context.terminal.note(text) }),
      );
      printResult(context, flags, snakeCased(plan), () => planLines(plan, context.terminal.paint));
    },
  );
}

function planLines(plan: MemoryPlan, paint: Terminal['paint']): string[] {
  const { config, parts, totalBytes } = plan;
  const shown = parts
    .filter(({ bytes }) => bytes > 0)
    .map(({ part, bytes }) => [part, memorySizeText(bytes)]);
  const stored =
    config.quantization === 'none'
      ? 'not quantized'
      : `${config.quantization}${config.doubleQuantization ? ' + double quantization' : ''}`;
  return [
    `${plan.modelType}, ${countText(plan.parameterCount)} parameters, ${stored}; ${trainedText(plan)}`,
    `one pass: ${config.microBatchSize} × ${config.maxSeqLength} tokens, ` +
      `${recomputeText(plan.recompute, plan.layers)}; ${config.optimizer}; ${plan.backend}, ` +
      `${config.computeDtype}`,
    '',
    ...columns([...shown, ['together, at most', memorySizeText(totalBytes)]], ['left', 'right']),
    ...limitLines(plan),
    ...plan.notes.map((note) => paint('yellow', note)),
  ];
}

const trainedText = ({ adaptedLayers, trainableCount, config }: MemoryPlan): string =>
  adaptedLayers === 0
    ? 'all of them trained'
    : `${adaptedLayers} layers adapted, ranks ${config.ranks!.join(' ')}, ${countText(trainableCount)} ` +
      `trainable`;

function limitLines({ limit, totalBytes }: MemoryPlan): string[] {
  if (!limit) return [];
  const { memoryBytes, fits, fit } = limit;
  const there = memorySizeText(memoryBytes);
  if (fits) return ['', `It fits into ${there}, with ${memorySizeText(memoryBytes - totalBytes)} to spare.`];
  const short = `It does not fit into ${there}: ${memorySizeText(totalBytes - memoryBytes)} too much.`;
  return [
    '',
    short,
    fit
      ? `With ${Object.entries(fit.values)
          .map(([key, value]) => `${key}: ${valueText(key, value)}`)
          .join(', ')} it does: ${memorySizeText(fit.totalBytes)}.`
      : 'No change of keys makes it fit: it needs a smaller model, or more memory.',
  ];
}

const valueText = (key: string, value: unknown): string =>
  key.endsWith('_budget') ? `${(value as number) / 2 ** 20}MiB` : String(value);
