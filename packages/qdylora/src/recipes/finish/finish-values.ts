import { resolve } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import type { LevelSchedule, RankScaling } from '@qdylora/lora-dynamic';
import { stateNameOf } from '@qdylora/trainer';
import {
  mergeExplicit,
  numberIn,
  valuesOfOptions,
  type ExplicitValues,
} from '../../config/explicit-values.ts';
import { missingKey } from '../../config/names/missing-key.ts';
import { refusedValue } from '../../config/values/check-combinations.ts';
import { checkValues } from '../../config/values/check-values.ts';
import { FINISH_ONLY_KEYS, finishShare, isNestedOnly } from '../../config/finish-keys.ts';
import type { KeyName } from '../../config/keys.ts';
import { readAdapter } from '../adapter/read-adapter.ts';
import { prepareRun, type PreparedRun } from '../run/prepare-run.ts';
import { assertBaseExists, readFinishedRun, type FinishedRun } from './read-finished-run.ts';
import { shellWord } from '../outputs/shell-command.ts';
import { besideFolder } from '../run-folder/beside-folder.ts';

/**
 * The run that finishes one rank of an earlier run: the keys of that run with one rank, its slice and the
 * moments of its rows to start from, ceil(share · steps) steps, `rateShare` of its learning rate and the rows
 * in another order. Explicit values override all of them; with another optimizer moments start at 0.
 *
 * @param folder output folder of the earlier run
 * @throws QdyloraError MISSING_FILE, BAD_CONFIG, BAD_FILE
 */
export async function prepareFinish(folder: string, explicit: ExplicitValues): Promise<PreparedRun> {
  const isOfFinish = ([name]: readonly [string, unknown]): boolean => Object.hasOwn(FINISH_ONLY_KEYS, name);
  const { rank, share: chosenShare } = checkValues(
    FINISH_ONLY_KEYS,
    new Map([...explicit].filter(isOfFinish)),
  );
  const changes: ExplicitValues = new Map([...explicit].filter((entry) => !isOfFinish(entry)));
  if (rank === null) throw missingKey('rank', 'Name the rank to finish: --rank 8.');
  assertLengthFits(explicit);
  const share = chosenShare ?? finishShare(rank);
  const run = await readFinishedRun(folder);
  const { ranks, scaling } = readAdapter(run.adapter).state;
  if (!ranks.includes(rank)) throw untrainedRank(run, rank, ranks);
  if (!changes.has('model')) assertBaseExists(folder, run.values.get('model')?.value);
  if (!changes.has('outputDir'))
    throw missingKey(
      'output_dir',
      `Name a folder for it: --output-dir ${shellWord(finishedFolder(folder, rank))}.`,
    );
  assertOtherFolder(folder, changes, rank);
  const optimizerState = keepsOptimizer(run, changes) ? run.lastCheckpoint : null;
  const changedSteps = numberIn(changes, 'maxSteps');
  const values = finishedValues(run, { rank, share, ranks, scaling, optimizerState, changedSteps });
  return prepareRun(mergeExplicit(values, changes));
}

/** Beside the folder of the run: `runs/smol-r8-finished`. */
export const finishedFolder = (run: string, rank: number): string => besideFolder(run, `-r${rank}-finished`);

/** The schedule of a finish is that of the run, shrunk to its steps, so these must be known first. */
function assertLengthFits(explicit: ExplicitValues): void {
  if (explicit.has('numEpochs'))
    throw refusedValue(
      explicit,
      'numEpochs',
      (name) => `${name('numEpochs')} is not possible in a finish`,
      'Its length is a share of the steps of the run (share), or a number of steps (max_steps).',
    );
  if (explicit.has('share') && explicit.has('maxSteps'))
    throw refusedValue(
      explicit,
      'share',
      (name) => `${name('share')} has no effect beside ${name('maxSteps')}`,
      'Leave one of them out.',
    );
}

/**
 * `checkOutputFolder` would refuse the folder of the earlier run with the advice to resume it, which is not a
 * finish.
 */
function assertOtherFolder(folder: string, changes: ExplicitValues, rank: number): void {
  const outputDir = changes.get('outputDir')?.value;
  if (typeof outputDir !== 'string' || resolve(outputDir) !== resolve(folder)) return;
  throw refusedValue(
    changes,
    'outputDir',
    (name) => `${name('outputDir')} is the folder of the run itself, which stays as it is`,
    `Choose another folder, such as ${finishedFolder(folder, rank)}.`,
  );
}

/** Another optimizer cannot go on with the moments of that of the run. */
function keepsOptimizer({ values }: FinishedRun, changes: ExplicitValues): boolean {
  const [before, changed] = [values, changes].map((source) => source.get('optimizer')?.value);
  return (
    typeof changed !== 'string' || typeof before !== 'string' || stateNameOf(changed) === stateNameOf(before)
  );
}

/** Keys of the earlier run that mean its own folder, or that its adapter brings along. */
const REPLACED_KEYS: readonly string[] = [
  'outputDir',
  'resumeFromCheckpoint',
  'optimizerState',
  'loraAlpha',
  'loraScaling',
  'targetModules',
];

const isKept = (name: string): boolean => !isNestedOnly(name) && !REPLACED_KEYS.includes(name);

/** The level schedule `distilled`: a rank alone has no other that it could learn from. */
const needsDistillation = (name: string, value: unknown): boolean =>
  name === ('levelSchedule' satisfies KeyName) && value === ('distilled' satisfies LevelSchedule);

/** Keys that count steps of the schedule: they shrink with the run. */
const SCHEDULE_STEPS = ['warmupSteps', 'lrTimescale', 'lrNumDecaySteps'] as const;

/**
 * Peak of the learning rate over that of the run: 0.2. Under another scale than `tapered`, which has less at
 * small ranks, it is 0.5/√rank, but at least 0.2. Measured with SmolLM2-135M on GSM8K
 * (docs/research/how-the-default-was-found.md): under `tapered` rank 1 is as good at 0.2 as at 0.3, and
 * better than at 0.5; under `uniform` it is best at 0.5, and rank 8 at 0.2. At the whole peak rank 8 becomes
 * worse than it was, since a short run has no time to come down.
 */
export const rateShare = (rank: number, scaling: RankScaling): number =>
  scaling === 'tapered' ? 0.2 : Math.max(0.2, 0.5 / Math.sqrt(rank));

/** The keys of the earlier run with those that a finish changes. Rows keep the rates that they had. */
function finishedValues(
  { adapter, values, steps, plannedSteps }: FinishedRun,
  {
    rank,
    share,
    ranks,
    scaling,
    optimizerState,
    changedSteps,
  }: {
    readonly rank: number;
    readonly share: number;
    /** Steps that the caller asks for in place of the share. */
    readonly changedSteps: number | null;
    readonly ranks: readonly number[];
    readonly scaling: RankScaling;
    readonly optimizerState: string | null;
  },
): ExplicitValues {
  const numberOf = (key: string): number | null => numberIn(values, key);
  const shrink = (changedSteps ?? share * steps) / plannedSteps;
  const scheduleSteps = SCHEDULE_STEPS.map((key) => {
    const count = numberOf(key);
    return [key, count === null ? undefined : stepsOfShare(shrink, count)] as const;
  });
  const runRate = numberOf('learningRate');
  const kept = new Map(
    [...values].filter(([name, { value }]) => isKept(name) && !needsDistillation(name, value)),
  );
  const changed = valuesOfOptions({
    adapter,
    optimizerState,
    ...(runRate !== null && { learningRate: rateShare(rank, scaling) * runRate }),
    ranks: [rank],
    rateRanks: values.get('rateRanks')?.value ?? ranks,
    maxSteps: stepsOfShare(share, steps),
    dataSeed: (numberOf('dataSeed') ?? numberOf('seed') ?? 0) + 1,
    ...(numberOf('earlyStopping') !== null && { earlyStopping: rank }),
    ...Object.fromEntries(scheduleSteps),
  });
  return mergeExplicit(kept, changed);
}

/** Digits in which a product of a decimal share and a number of steps is what was meant: 0.07 · 100 is 7. */
const DIGITS = 12;

/** ceil(share · steps), where 0.07 · 100 = 7.000000000000001 counts as 7. */
export const stepsOfShare = (share: number, steps: number): number =>
  Math.ceil(Number((share * steps).toPrecision(DIGITS)));

const untrainedRank = ({ folder }: FinishedRun, rank: number, ranks: readonly number[]): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where: 'rank',
    problem: `${folder} did not train rank ${rank}: its ranks are ${ranks.join(', ')}.`,
    nextStep: 'Choose one of them.',
    details: { rank, ranks },
  });
