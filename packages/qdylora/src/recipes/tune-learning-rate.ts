import { QdyloraError } from '@qdylora/contract';
import { valuesOfOptions, type ExplicitValues } from '../config/explicit-values.ts';
import { checkValues } from '../config/values/check-values.ts';
import { refusedValue } from '../config/values/check-combinations.ts';
import { TUNE_ONLY_KEYS } from '../config/verb-keys.ts';
import { openRun, type FinetuneOptions } from './finetune.ts';
import { checkHooks } from './run/check-hooks.ts';
import type { OpenedRun } from './run/opened-run.ts';
import { prepareRun, type PreparedRun } from './run/prepare-run.ts';
import { openSession, type RunSession } from './run/run-session.ts';
import { startAdapter } from './run/steps/start-adapter.ts';
import { duringSearch, tellingAbort } from './run/steps/tell-abort.ts';
import { searchRates } from './tune/search-rates.ts';
import { testRange } from './tune/test-range.ts';
import { judgedRanks, type TrialSetting } from './tune/open-trial.ts';
import { rateGrid } from './tune/rate-grid.ts';
import type { TuneFiles, TunePlan, TuneResult } from './tune/tune-result.ts';
import { budgetOf, planWithin, rangeStepsWithin, type TuneSettings } from './tune/tune-settings.ts';
import { assertPlotFits, assertRunFileWritable, writeTuned } from './tune/write-tuned.ts';
import type { RecipeHooks } from './hooks.ts';

/** The keys of the run to tune, and how to search. */
export type TuneOptions = Omit<FinetuneOptions, 'onStep' | 'onEvaluate' | 'onSave' | 'fs' | 'workers'> &
  Pick<RecipeHooks, 'onNotice' | 'onProgress'> &
  Partial<TuneSettings> & {
    /** A run file that gets the chosen values; none by default. */
    readonly runFile?: string | null;
  };

/** The result of `tuneLearningRate`: the chosen rate, the candidates, and the files that were written. */
export type TunedRate = TuneResult & { readonly files: TuneFiles };

/**
 * Finds a learning rate for a run with its own model and rows, and writes `<output_dir>/tune/`.
 *
 * Successive halving (Jamieson & Talwalkar 2016): candidates on a geometric grid around the run's rate train
 * from the same start on one shared frozen base. After each round the better half goes on for as many steps
 * again, judged by the held-out loss (mean over the smallest, a middle and the largest rank). All candidates
 * together take at most `budget` · the run's steps. As in the run, the largest rank trains alone first
 * (`wide_ratio`, of the longest trial); until then its loss alone judges.
 *
 * With `rangeTest`, Smith's range test (2017, section 3.3) instead: 40 steps with an exponentially rising
 * rate.
 *
 * The same seed gives the same choice.
 *
 * @throws QdyloraError BAD_CONFIG for full training, a budget that is too small, or where nothing can be held
 * out; NON_FINITE_LOSS where every rate diverges; ABORTED; whatever opening the run throws
 * @example
 * const { learningRate } = await tuneLearningRate({ model, dataset: 'rows.jsonl', outputDir: 'runs/smol' });
 */
export async function tuneLearningRate({
  signal,
  device,
  onNotice,
  onProgress,
  runFile = null,
  ...options
}: TuneOptions): Promise<TunedRate> {
  checkHooks('tuneLearningRate', { signal, device, onNotice, onProgress });
  const hooks = { signal, device, onNotice, onProgress, backend: options.backend };
  return tuneFrom(valuesOfOptions(options), runFile, hooks);
}

type TuneHooks = Pick<TuneOptions, 'signal' | 'device' | 'onNotice' | 'onProgress' | 'backend'>;

/** The same for values from a file and flags. */
export async function tuneFrom(
  explicit: ExplicitValues,
  runFile: string | null,
  hooks: TuneHooks,
): Promise<TunedRate> {
  const { settings, config } = prepareTune(explicit);
  if (runFile !== null) assertRunFileWritable(runFile);
  assertPlotFits(config.outputDir);
  const result = await tellingAbort(duringSearch, () => tuned(settings, config, hooks));
  return { ...result, files: await writeTuned(config.outputDir, runFile, result) };
}

async function tuned(settings: TuneSettings, config: PreparedRun, hooks: TuneHooks): Promise<TuneResult> {
  const session = sessionOf(config, hooks);
  using opened = await openTuned(config, session);
  await startAdapter(opened, session);
  const setting: TrialSetting = {
    opened,
    start: await opened.run.adapted!.state(),
    judged: judgedRows(opened),
    signal: hooks.signal,
  };
  const search = settings.rangeTest ? testRange : searchRates;
  const found = await search(setting, settings, { onProgress: hooks.onProgress, notice: session.notice });
  return { ...found, notes: [...session.notes] };
}

/** What a search would do; trains and writes nothing. */
export async function planTune(explicit: ExplicitValues, hooks: TuneHooks): Promise<TunePlan> {
  const { settings, config } = prepareTune(explicit);
  using opened = await openTuned(config, sessionOf(config, hooks));
  const grid = rateGrid({ ...settings, ...opened.config });
  const budgetSteps = budgetOf(opened.run.totalSteps, settings);
  const plan = settings.rangeTest
    ? { rounds: [], steps: rangeStepsWithin(budgetSteps) }
    : planWithin(grid.length, budgetSteps);
  return {
    method: settings.rangeTest ? 'range_test' : 'successive_halving',
    model: opened.source.name,
    runSteps: opened.run.totalSteps,
    budgetSteps,
    plannedSteps: plan.steps,
    rates: [...new Set(grid.map(({ learningRate }) => learningRate))],
    alphas: [...new Set(grid.map(({ loraAlpha }) => loraAlpha))],
    rounds: plan.rounds,
    judgedRows: judgedRows(opened).length,
    judgedRanks: judgedRanks(opened.run.adapted!.ranks.ranks),
  };
}

const sessionOf = (config: PreparedRun, { backend, device, signal, onNotice }: TuneHooks): RunSession =>
  openSession({
    backend: backend ?? config.backend,
    device,
    signal,
    emit: (event) => {
      if (event.type === 'notice') onNotice?.(event.message);
    },
  });

/** Share of the rows that a search holds out of a run that holds none out. */
const HELD_OUT_SHARE = 0.1;

/** What a grid of rates needs, and a range test doesn't. */
const GRID_KEYS = ['rates', 'ratio', 'alpha'] as const;

/**
 * The settings of a search, and the run to tune: where it holds no rows out, with a tenth of them held out.
 *
 * @throws QdyloraError BAD_CONFIG
 */
function prepareTune(explicit: ExplicitValues): { settings: TuneSettings; config: PreparedRun } {
  const isOfTune = ([name]: readonly [string, unknown]): boolean => Object.hasOwn(TUNE_ONLY_KEYS, name);
  const settings = checkValues(TUNE_ONLY_KEYS, new Map([...explicit].filter(isOfTune)));
  const idle = settings.rangeTest ? GRID_KEYS.find((key) => explicit.has(key)) : undefined;
  if (idle)
    throw refusedValue(
      explicit,
      idle,
      (name) => `${name(idle)} has no effect with ${name('rangeTest')}, which tries no grid`,
      'Leave one of them out.',
    );
  const config = prepareRun(new Map([...explicit].filter((entry) => !isOfTune(entry))));
  if (config.method === 'none')
    throw new QdyloraError('BAD_CONFIG', {
      where: 'method',
      problem:
        'Full training (method none) cannot be tuned: every rate would need its own copy of the weights.',
      nextStep: 'Tune a run that trains an adapter.',
    });
  const holdsOut = config.evalDataset !== null || config.valSetSize > 0;
  const valSetSize = holdsOut ? config.valSetSize : HELD_OUT_SHARE;
  return { settings, config: { ...config, optimizer: unpaged(config.optimizer), valSetSize } };
}

/** The same optimizer without pages, which would be files in the folder of the run. */
const unpaged = (optimizer: PreparedRun['optimizer']): PreparedRun['optimizer'] =>
  optimizer.replace(/^paged_/, '') as PreparedRun['optimizer'];

/** @throws QdyloraError BAD_CONFIG where no row is left to judge by */
async function openTuned(config: PreparedRun, session: RunSession): Promise<OpenedRun> {
  const opened = await openRun({ ...config, profile: false }, session);
  if (opened.data.heldOut.length > 0) return opened;
  opened[Symbol.dispose]();
  throw new QdyloraError('BAD_CONFIG', {
    where: 'val_set_size',
    problem: 'No row is held out, so there is nothing to judge a rate by.',
    nextStep: 'Raise val_set_size, or name an eval_dataset.',
  });
}

/** Rows that judge a candidate: with three ranks, they cost about as much as four steps of eight rows. */
const MOST_JUDGED_ROWS = 32;

const judgedRows = ({ data }: OpenedRun) => data.heldOut.slice(0, MOST_JUDGED_ROWS);
