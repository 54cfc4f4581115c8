import { assertCanCreate } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import type { Tokenizer } from '@qdylora/data';
import {
  adapterBytes,
  compareRanks,
  DEFAULT_ALPHA,
  findTasks,
  RACE_SHARE,
  recommendRanks,
  scoreGroups,
  TASK_NAMES,
  type ChosenTasks,
  type AnswerOptions,
  type ScoredView,
  type TaskRequests,
} from '@qdylora/eval';
import type { TaskRace, TaskResults } from '../../report/read-tasks.ts';
import { valuesOfOptions, type ExplicitValues } from '../../config/explicit-values.ts';
import { missingKey } from '../../config/names/missing-key.ts';
import type { InputOf } from '../../config/values/check-values.ts';
import { EVALUATE_TASKS_KEYS } from '../../config/task-keys.ts';
import { ranksOf, readAdapter, warnOfUntrainedRank } from '../adapter/read-adapter.ts';
import { IDLE_RANKS } from '../evaluate.ts';
import { assertReportFits } from '../run-folder/output-folder.ts';
import type { BackendChoice } from '../opening/choose-backend.ts';
import { longestSequenceOf } from '../opening/longest-sequence-of.ts';
import { checkModelValues, openModel, openModelSource, type OpenModel } from '../opening/open-model.ts';
import type { ModelSource } from '../opening/open-source.ts';
import type { WeightPrecision } from '../opening/weight-precision.ts';
import { checkHooks } from '../run/check-hooks.ts';
import type { EvaluateTasksConfig } from './evaluate-tasks-config.ts';
import { chatPrompts } from './chat-prompts.ts';
import { judgeTasks, requestsOfTasks, type TaskRunOptions } from './judge-tasks.ts';
import { isTaskFile, readOwnTask } from './own-task.ts';
import { taskRows, type TaskRow } from './task-rows.ts';
import { openTaskModels, type TaskModels } from './task-models.ts';
import { answerFolder, modelAnswers } from './model-answers.ts';
import { judgePrograms } from './programs/judge-programs.ts';
import { openSandbox, type Sandbox } from './programs/open-sandbox.ts';
import { progressOfViews } from './progress-of-views.ts';
import { raceTasks, requestsOfRank } from './race-tasks.ts';
import { factsOf, modelName } from './run-facts.ts';
import { writeTaskReport } from './write-task-report.ts';
import { writeTaskResults } from './write-task-results.ts';
import type { RecipeHooks, Warn } from '../hooks.ts';

/**
 * Options of `evaluateTasks`: the keys of `qdylora eval --tasks` in camelCase, the hooks, and the backend.
 */
export type EvaluateTasksOptions = Omit<InputOf<typeof EVALUATE_TASKS_KEYS>, 'backend'> &
  RecipeHooks & { readonly backend?: BackendChoice };

/** Scores of a model on benchmark tasks; the comparisons between its ranks are those of `TaskResults`. */
export interface TaskEvaluation extends TaskResults {
  readonly model: string;
  readonly precision: WeightPrecision;
  /** One for each rank, task, metric and filter: the base first, then rising ranks. */
  readonly results: readonly TaskRow[];
  /** The results files that were written, in the order of the ranks. */
  readonly files: readonly string[];
  /** The page with the comparisons, `report.html`; null without `output_dir` or without ranks. */
  readonly report: string | null;
}

/**
 * Judges a model, or every rank of its adapter and the base, on benchmark tasks, with the numbers of
 * lm-evaluation-harness 0.4.13.
 *
 * @throws QdyloraError BAD_CONFIG, MISSING_FILE, BAD_DATA, UNSUPPORTED, ABORTED, …
 * @example
 * const adapter = 'runs/smol/adapter';
 * const options = { model: 'models/smollm2', adapter, tasks: ['gsm8k'], taskData: 'data' };
 * const { results } = await evaluateTasks(options);
 */
export async function evaluateTasks({
  signal,
  onNotice,
  onProgress,
  ...options
}: EvaluateTasksOptions = {}): Promise<TaskEvaluation> {
  checkHooks('evaluateTasks', { signal, onNotice, onProgress });
  const hooks = { signal, onNotice, onProgress, backend: options.backend };
  return evaluateTasksFrom(valuesOfOptions(options), hooks);
}

/** The same for values from flags. */
export async function evaluateTasksFrom(
  explicit: ExplicitValues,
  { backend, signal, onNotice = () => {}, onProgress }: RecipeHooks & { readonly backend?: BackendChoice },
): Promise<TaskEvaluation> {
  const config = checkModelValues(EVALUATE_TASKS_KEYS, explicit);
  const chosenTasks = chooseTasks(config);
  if (config.outputDir !== null) assertReportFits(config.outputDir, 'tasks', config.adapter !== null);
  const answers = answerFolder(config);
  if (answers !== null) assertCanCreate(answers);
  const adapter = config.adapter === null ? null : readAdapter(config.adapter);
  const ranks = adapter ? ranksOf(adapter, config.ranks) : [];
  for (const rank of ranks) warnOfUntrainedRank(adapter!, rank, onNotice);
  if (!adapter && Array.isArray(config.ranks)) onNotice(IDLE_RANKS);
  const sandbox = config.allowCodeExecution ? openTaskSandbox(chosenTasks, onNotice) : null;
  const opening = { adapter, warn: onNotice, signal };
  // tasks before weights: a mistake in their rows is found at once
  const source = await openModelSource(config, opening);
  const tokenizer = await requiredTokenizer(source);
  const requests = await requestsFor(chosenTasks, config, { tokenizer, signal, tell: onNotice });
  using opened = await openModel(config, { ...opening, backend, source });
  const judgedRanks = [...(adapter && !config.compareWithBase ? [] : [null]), ...ranks];
  await using models = openTaskModels(opened, { tokenizer, requests, rankCount: judgedRanks.length, signal });
  tellCuts(requests, { encode: models.encode, maxLength: longestSequenceOf(opened.model), tell: onNotice });
  const judging: Judging = {
    config,
    chosenTasks,
    opened,
    tokenizer,
    requests,
    models,
    date: new Date(),
    sandbox,
  };
  const { judged, races } = await judgeAll(judging, judgedRanks, { signal, onProgress });
  return summaryOf(judging, judged, races);
}

/**
 * Judges all ranks at the same time, after a race where `racing` is set.
 *
 * @param judgedRanks null: the base
 * @throws QdyloraError ABORTED with what was judged before
 */
async function judgeAll(
  judging: Judging,
  judgedRanks: readonly (number | null)[],
  { signal, onProgress }: Pick<RecipeHooks, 'signal' | 'onProgress'>,
): Promise<{ judged: readonly JudgedView[]; races: readonly TaskRace[] }> {
  const { config, chosenTasks, opened, models, requests } = judging;
  const { encode } = models;
  const answersOf = await modelAnswers(opened, config);
  const judged: JudgedView[] = [];
  let races: readonly TaskRace[] = [];
  try {
    const ranks = judgedRanks.filter((rank) => rank !== null);
    if (config.racing && ranks.length > 1)
      races = await raceTasks(ranks, requests, {
        signal,
        onProgress,
        groups: chosenTasks.groups,
        modelAt: (rank) => models.at(rank),
        encode,
        answersOf,
      });
    const progressOf = progressOfViews(onProgress);
    const judgeRank = async (rank: number | null): Promise<void> => {
      const remaining = requestsOfRank(rank, requests, races);
      if (remaining.length === 0) return;
      const answering = { signal, ...progressOf(), cache: answersOf(rank), encode };
      judged.push(await judgeView({ ...judging, requests: remaining }, rank, answering));
    };
    const judgements = judgedRanks.map(judgeRank);
    await Promise.allSettled(judgements);
    judged.sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
    await Promise.all(judgements);
  } catch (error) {
    if (!QdyloraError.isInstance(error) || error.code !== 'ABORTED') throw error;
    throw stoppedEarly(error, judged, judging);
  }
  return { judged, races };
}

/** The sandbox for programs, before anything is loaded; null where no task has any. */
function openTaskSandbox({ tasks }: ChosenTasks, tell: Warn): Sandbox | null {
  if (!tasks.some(({ functions }) => functions.prediction)) return null;
  const sandbox = openSandbox();
  if (!sandbox.isIsolated)
    tell('Programs of the model have limits on time and memory, but may use the network: no unshare here.');
  return sandbox;
}

/** What is the same for all ranks of an evaluation. */
interface Judging {
  readonly config: EvaluateTasksConfig;
  readonly chosenTasks: ChosenTasks;
  readonly opened: OpenModel;
  readonly tokenizer: Tokenizer;
  readonly requests: readonly TaskRequests[];
  readonly models: TaskModels;
  /** The time in the files' names. */
  readonly date: Date;
  /** Null: no code of a model is executed. */
  readonly sandbox: Sandbox | null;
}

/** The scores at one rank, and the results file that was written; null: none. */
interface JudgedView extends ScoredView {
  readonly file: string | null;
}

async function judgeView(
  { config, chosenTasks, opened, tokenizer, requests, models, date, sandbox }: Judging,
  rank: number | null,
  hooks: Pick<AnswerOptions, 'signal' | 'onPassCount' | 'onProgress' | 'cache' | 'encode'>,
): Promise<JudgedView> {
  const model = models.at(rank);
  const answered = await judgeTasks(requests, model, hooks);
  const scores = sandbox ? await judgePrograms(answered, sandbox, hooks.signal) : answered;
  const groups = scoreGroups(chosenTasks.groups, scores).filter(({ metrics }) => metrics.length > 0);
  const facts = factsOf(opened, rank, config, { date, tokenizer, maxLength: model.maxLength });
  const { outputDir: folder } = config;
  const file =
    folder === null
      ? null
      : writeTaskResults({ folder, modelName: modelName(opened, rank), date, scores, groups, facts });
  return { rank, scores, groups, file };
}

/** Compares the ranks that were judged, and writes the report. */
function summaryOf(
  { opened, config, chosenTasks }: Judging,
  judged: readonly JudgedView[],
  races: readonly TaskRace[],
): TaskEvaluation {
  const comparisons = compareRanks(judged, {
    // with a race, a part of the error rate goes to the race
    alpha: config.racing ? DEFAULT_ALPHA * (1 - RACE_SHARE) : DEFAULT_ALPHA,
    adapterBytes: (rank) => adapterBytes(opened.adapter?.adapted.model, rank),
  });
  const recommendation = recommendRanks(comparisons, scoreGroups(chosenTasks.groups, []), races);
  const compared = { model: opened.source.name, comparisons, recommendation, races };
  return {
    ...compared,
    precision: opened.precision,
    results: judged.flatMap(({ rank, scores, groups }) => taskRows(rank, scores, groups)),
    files: judged.flatMap(({ file }) => file ?? []),
    report: config.outputDir === null ? null : writeTaskReport(config.outputDir, compared, config),
  };
}

/**
 * The abort of an evaluation in its own words: which ranks are finished, and how to continue. A part of the
 * ranks is not compared, so there is no report.
 */
function stoppedEarly(
  { cause }: QdyloraError,
  judged: readonly JudgedView[],
  { config, opened }: Judging,
): QdyloraError {
  const names = judged.map(({ rank }) => modelName(opened, rank));
  const folder = answerFolder(config);
  const files = judged.flatMap(({ file }) => file ?? []);
  const written = files.length > 0 ? `Written: ${files.join(', ')}. ` : '';
  return new QdyloraError('ABORTED', {
    where: 'tasks',
    problem: `The evaluation was aborted; finished: ${names.length > 0 ? names.join(', ') : 'no rank'}`,
    nextStep:
      folder === null
        ? `${written}With --output-dir or --cache-requests the answers would be kept.`
        : `${written}The answers so far are in ${folder}: run the same command again to continue.`,
    details: { files },
    cause,
  });
}

const requestsFor = (
  chosenTasks: ChosenTasks,
  { taskData, numFewshot, limit, applyChatTemplate }: EvaluateTasksConfig,
  { tokenizer, ...hooks }: Pick<TaskRunOptions, 'signal' | 'tell'> & { readonly tokenizer: Tokenizer },
): Promise<readonly TaskRequests[]> =>
  requestsOfTasks(chosenTasks, {
    ...hooks,
    taskData,
    numFewshot,
    limit,
    chatTemplate: applyChatTemplate ? chatPrompts(tokenizer, hooks.tell) : null,
    isMultiturn: applyChatTemplate === true,
  });

/** @throws QdyloraError BAD_CONFIG without tasks, or for an unknown one */
function chooseTasks({ tasks }: EvaluateTasksConfig): ChosenTasks {
  if (!tasks)
    throw missingKey('tasks', `Name tasks: --tasks gsm8k,arc_easy. There are ${TASK_NAMES.length}.`);
  const distinct = [...new Set(tasks)];
  const fileTasks = distinct.filter(isTaskFile).map(readOwnTask);
  const names = [...distinct.filter((name) => !isTaskFile(name)), ...fileTasks.map(({ name }) => name)];
  const repeated = names.find((name, i) => names.indexOf(name) < i);
  if (repeated === undefined) return findTasks(names, fileTasks);
  throw new QdyloraError('BAD_CONFIG', {
    where: 'tasks',
    problem: `Two tasks have the name ${repeated}, so one would be left out`,
    nextStep: 'Change `task` in one of the files.',
  });
}

async function requiredTokenizer(source: ModelSource): Promise<Tokenizer> {
  const tokenizer = await source.openTokenizer();
  if (tokenizer) return tokenizer;
  throw new QdyloraError('BAD_CONFIG', {
    where: source.name,
    problem: 'The model has no tokenizer, so it cannot read the prompts of tasks.',
    nextStep: 'Name a model whose folder has tokenizer.json.',
  });
}

interface CutOptions extends Pick<TaskModels, 'encode'> {
  readonly maxLength: number;
  readonly tell: Warn;
}

/** Tells once for all ranks, which are asked the same, how many prompts are too long. */
function tellCuts(tasks: readonly TaskRequests[], { encode, maxLength, tell }: CutOptions): void {
  const requests = tasks.flatMap(({ documents }) => documents.flatMap((document) => document.requests));
  const count = requests.filter((request) => encode(request).isCut).length;
  if (count === 0) return;
  tell(
    `${count} prompts are longer than the ${maxLength} tokens that the model reads. Their beginnings are ` +
      'cut off, as by lm-evaluation-harness.',
  );
}
