import { snakeCased } from '@qdylora/contract';
import type { Command } from 'commander';
import { mergeExplicit } from '../../config/explicit-values.ts';
import { KEY_NAMES, KEYS } from '../../config/keys.ts';
import { kebabCase } from '../../config/names/names.ts';
import { TUNE_ONLY_KEYS } from '../../config/verb-keys.ts';
import { readRunYaml } from '../../config/yaml/read-run-yaml.ts';
import { planTune, tuneFrom, type TunedRate } from '../../recipes/tune-learning-rate.ts';
import type { TriedCandidate } from '../../recipes/tune/halve-candidates.ts';
import type { TunePlan } from '../../recipes/tune/tune-result.ts';
import { rateText } from '../../recipes/tune/write-tuned.ts';
import { countOf, lossText } from '../../report/number-text.ts';
import { printResult, type Context } from '../context.ts';
import { STOPPING } from '../interrupts.ts';
import { addKeyFlags, explicitFlags } from '../key-flags.ts';
import { showPasses } from '../render/progress.ts';
import { columns } from '../render/table.ts';
import type { TrainingFlags } from '../run-training.ts';
import { shellCommand } from '../../recipes/outputs/shell-command.ts';

type TuneFlags = TrainingFlags & Record<string, string | undefined>;

const TUNE_KEYS = { ...TUNE_ONLY_KEYS, ...KEYS };

export function addTuneCommand(program: Command, context: Context): void {
  const command = program
    .command('tune')
    .argument('<run.yaml>', 'File with keys and values; gets the chosen learning_rate. Flags override it')
    .summary('find the learning rate of a run')
    .description(
      'Tries learning rates around that of the run on its own model and rows, by successive halving. ' +
        'All tries together take at most the steps of one run (--budget changes this). Writes the best one ' +
        'into run.yaml, and a plot into <output_dir>/tune.',
    );
  addKeyFlags(command, TUNE_KEYS)
    .option('--dry-run', 'Show the rates and the rounds; train and write nothing')
    .option('--json', 'Print one JSON document');
  command.action(async (file: string, flags: TuneFlags) => {
    const explicit = mergeExplicit(await readRunYaml(file), explicitFlags(TUNE_KEYS, flags));
    const { terminal } = context;
    const hooks = {
      onNotice: (message: string) => terminal.note(terminal.paint('yellow', message)),
      onProgress: showPasses(terminal, 'tuning'),
    };
    terminal.status('loading model and data …');
    if (flags.dryRun) {
      const plan = await context.interruptible(
        (signal) => planTune(explicit, { ...hooks, signal }),
        STOPPING,
      );
      terminal.status('');
      return printResult(context, flags, snakeCased(plan), () => planLines(plan));
    }
    const tuned = await context.interruptible(
      (signal) => tuneFrom(explicit, file, { ...hooks, signal }),
      STOPPING,
    );
    terminal.status('');
    printResult(context, flags, snakeCased(tuned), () => [
      ...(tuned.method === 'successive_halving' ? candidateTable(tuned, context) : []),
      ...choiceLines(tuned),
      `plot: ${tuned.files.html}`,
      `next: ${shellCommand(['train', file, ...keptFlags(flags, tuned)])}`,
    ]);
  });
}

/** The flags of the run. Those of the tuned values would override the file. */
const keptFlags = (flags: TuneFlags, { loraAlpha }: TunedRate): string[] =>
  KEY_NAMES.filter(
    (name) =>
      flags[name] !== undefined && name !== 'learningRate' && !(name === 'loraAlpha' && loraAlpha !== null),
  ).map((name) => `--${kebabCase(name)}=${flags[name]}`);

function candidateTable(tuned: TunedRate, { terminal: { paint } }: Context): string[] {
  const { candidates, learningRate, loraAlpha, startLoss } = tuned;
  const hasAlpha = loraAlpha !== null;
  const isChosen = (candidate: TriedCandidate): boolean =>
    candidate.learningRate === learningRate && (!hasAlpha || candidate.loraAlpha === loraAlpha);
  const rows = candidates.map((candidate) => [
    rateText(candidate.learningRate),
    ...(hasAlpha ? [String(candidate.loraAlpha)] : []),
    String(candidate.steps),
    lossText(candidate.loss),
    isChosen(candidate) ? '← chosen' : candidate.hasDiverged ? 'diverged' : '',
  ]);
  const head = ['rate', ...(hasAlpha ? ['alpha'] : []), 'steps', 'held-out loss', ''];
  const sides = head.map((_, i) => (i === head.length - 1 ? ('left' as const) : ('right' as const)));
  const start = ['–', ...(hasAlpha ? ['–'] : []), '0', lossText(startLoss!), 'before any step'];
  const [first, ...lines] = columns([head, start, ...rows], sides);
  return [paint('dim', first), ...lines.map((line) => (line.includes('←') ? paint('bold', line) : line))];
}

function choiceLines(tuned: TunedRate): string[] {
  const { learningRate, loraAlpha, previousRate, spentSteps, budgetSteps, ratesBelow, ratesAbove } = tuned;
  const alpha = loraAlpha === null ? '' : `, lora_alpha: ${loraAlpha}`;
  const edge =
    ratesBelow === null
      ? ''
      : ` (${countOf(ratesBelow, 'rate')} tried below it, ${countOf(ratesAbove!, 'rate')} above)`;
  return [
    `learning_rate: ${rateText(learningRate)}${alpha}, was ${rateText(previousRate)}${edge}`,
    `${spentSteps} of at most ${budgetSteps} steps taken; written into ${tuned.files.yaml}`,
  ];
}

function planLines(plan: TunePlan): string[] {
  const { method, rates, alphas, rounds, runSteps, budgetSteps, plannedSteps, judgedRows, judgedRanks } =
    plan;
  const first = `the run has ${runSteps} steps; the search takes ${plannedSteps} of at most ${budgetSteps}`;
  if (method === 'range_test') return [first, 'range test: one adapter, the rate rises at each step'];
  return [
    first,
    `rates: ${rates.map(rateText).join(', ')}${alphas.length > 1 ? `; alpha ${alphas.join(', ')}` : ''}`,
    ...rounds.map(
      ({ candidates, untilStep }, i) => `round ${i + 1}: ${candidates} candidates up to step ${untilStep}`,
    ),
    `judged on ${countOf(judgedRows, 'held-out row')} at ranks ${judgedRanks.join(', ')}`,
    'Nothing was written. Without --dry-run the search begins.',
  ];
}
