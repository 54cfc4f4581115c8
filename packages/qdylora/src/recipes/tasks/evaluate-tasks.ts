import { QdyloraError } from '@qdylora/contract';
import type { ChatMessage, Tokenizer } from '@qdylora/data';
import {
  adapterBytes,
  compareRanks,
  findTasks,
  recommendRanks,
  scoreGroups,
  TASK_NAMES,
  type ChosenTasks,
  type ScoredView,
  type TaskRequests,
} from '@qdylora/eval';
import type { TaskResults } from '../../report/read-tasks.ts';
import { valuesOfOptions, type ExplicitValues } from '../../config/explicit-values.ts';
import { missingKey } from '../../config/names/missing-key.ts';
import type { InputOf } from '../../config/values/check-values.ts';
import { EVALUATE_TASKS_KEYS } from '../../config/verb-keys.ts';
import { ranksOf, readAdapter } from '../adapter/read-adapter.ts';
import type { RecipeHooks } from '../evaluate.ts';
import type { BackendChoice } from '../opening/choose-backend.ts';
import { checkModelValues, openModel, type OpenModel } from '../opening/open-model.ts';
import type { WeightPrecision } from '../opening/weight-precision.ts';
import { checkHooks } from '../run/check-hooks.ts';
import type { EvaluateTasksConfig } from './evaluate-tasks-config.ts';
import { judgeTasks, requestsOfTasks, type TaskRunOptions } from './judge-tasks.ts';
import { isTaskFile, readOwnTask } from './own-task.ts';
import { taskRows, type TaskRow } from './task-rows.ts';
import { tokenModel } from './token-model.ts';
import { factsOf, modelName } from './run-facts.ts';
import { writeTaskReport } from './write-task-report.ts';
import { writeTaskResults } from './write-task-results.ts';

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
 * const options = { model: 'models/smollm2', adapter: 'runs/smol/adapter', tasks: ['gsm8k'], taskData: 'data'
 * }; const { results } = await evaluateTasks(options);
 */
export async function evaluateTasks({
  signal,
  onNotice,
  onProgress,
  ...options
}: EvaluateTasksOptions = {}): Promise<TaskEvaluation> {
  checkHooks('evaluate-tasks', { signal, onNotice, onProgress });
  const hooks = { signal, onNotice, onProgress, backend: options.backend };
  return evaluateTasksFrom(valuesOfOptions(options), hooks);
}

/** The same for values from flags. */
export async function evaluateTasksFrom(
  explicit: ExplicitValues,
  { backend, signal, onNotice = () => {}, onProgress }: RecipeHooks & { readonly backend?: BackendChoice },
): Promise<TaskEvaluation> {
  const config = checkModelValues(EVALUATE_TASKS_KEYS, explicit);
  const chosen = chooseTasks(config);
  const adapter = config.adapter === null ? null : readAdapter(config.adapter);
  const ranks = adapter ? ranksOf(adapter, config.ranks) : [];
  using opened = await openModel(config, { adapter, backend, warn: onNotice });
  const tokenizer = await requiredTokenizer(opened);
  const { computeDtype, source } = opened;
  const requests = await requestsFor(chosen, config, { tokenizer, signal, tell: onNotice });
  const stopIds = [...new Set([...source.stopIds, ...(tokenizer.eosId === null ? [] : [tokenizer.eosId])])];
  const views = [...(adapter && !config.compareWithBase ? [] : [null]), ...ranks];
  const scored: ScoredView[] = [];
  const results: TaskRow[] = [];
  const files: string[] = [];
  const date = new Date();
  for (const [v, rank] of views.entries()) {
    const view = viewAt(opened, rank);
    const model = tokenModel(view, { tokenizer, stopIds, computeDtype });
    const { scores, cutContexts } = await judgeTasks(requests, model, {
      signal,
      onProgress:
        onProgress &&
        (({ done, total }) => {
          onProgress({ done: v * total + done, total: views.length * total });
        }),
    });
    if (v === 0 && cutContexts > 0) onNotice(cutNotice(cutContexts, model.maxLength));
    const groups = scoreGroups(chosen.groups, scores);
    scored.push({ rank, scores, groups });
    results.push(...taskRows(rank, scores, groups));
    if (config.outputDir !== null)
      files.push(
        writeTaskResults({
          folder: config.outputDir,
          modelName: modelName(opened, rank),
          date,
          scores,
          groups,
          facts: factsOf(opened, rank, config, { date, tokenizer, maxLength: model.maxLength }),
        }),
      );
  }
  const comparisons = compareRanks(scored, { adapterBytes: (rank) => adapterBytes(opened.model, rank) });
  const recommendation = recommendRanks(comparisons, scored[0].groups);
  const judged = { model: source.name, comparisons, recommendation };
  return {
    ...judged,
    precision: opened.precision,
    results,
    files,
    report: config.outputDir === null ? null : writeTaskReport(config.outputDir, judged, config),
  };
}

const requestsFor = (
  chosen: ChosenTasks,
  { taskData, numFewshot, limit, applyChatTemplate }: EvaluateTasksConfig,
  { tokenizer, ...hooks }: Pick<TaskRunOptions, 'signal' | 'tell'> & { readonly tokenizer: Tokenizer },
): Promise<readonly TaskRequests[]> =>
  requestsOfTasks(chosen, {
    ...hooks,
    taskData,
    numFewshot,
    limit,
    chatTemplate: applyChatTemplate ? templateOf(tokenizer) : null,
    isMultiturn: applyChatTemplate === true,
  });

/** @throws QdyloraError BAD_CONFIG without tasks, or for an unknown one */
function chooseTasks({ tasks }: EvaluateTasksConfig): ChosenTasks {
  if (!tasks)
    throw missingKey('tasks', `Name tasks: --tasks gsm8k,arc_easy. There are ${TASK_NAMES.length}.`);
  const own = tasks.filter(isTaskFile).map(readOwnTask);
  const names = tasks.filter((name) => !isTaskFile(name));
  return findTasks([...names, ...own.map(({ name }) => name)], own);
}

async function requiredTokenizer({ source }: OpenModel): Promise<Tokenizer> {
  const tokenizer = await source.openTokenizer();
  if (tokenizer) return tokenizer;
  throw new QdyloraError('BAD_CONFIG', {
    where: source.name,
    problem: 'The model has no tokenizer, so it cannot read the prompts of tasks.',
    nextStep: 'Name a model whose folder has tokenizer.json.',
  });
}

/** @throws QdyloraError BAD_CONFIG for a tokenizer without a chat template */
function templateOf({
  chatTemplate,
}: Tokenizer): (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => string {
  if (!chatTemplate)
    throw new QdyloraError('BAD_CONFIG', {
      where: 'apply_chat_template',
      problem: 'The tokenizer has no chat template.',
      nextStep: 'Name one with --chat-template, or leave --apply-chat-template out.',
    });
  return (messages, addGenerationPrompt) => {
    if (addGenerationPrompt) return chatTemplate.render(messages, { addGenerationPrompt });
    throw new QdyloraError('UNSUPPORTED', {
      where: 'gen_prefix',
      problem: 'A task that begins the answer itself (`gen_prefix`) cannot use a chat template',
      nextStep: 'Leave --apply-chat-template out.',
    });
  };
}

const viewAt = ({ model, adapter }: OpenModel, rank: number | null) =>
  rank === null ? { model, active: null } : adapter!.adapted.atRank(rank);

const cutNotice = (count: number, maxLength: number): string =>
  `${count} prompts are longer than the ${maxLength} tokens that the model reads. Their beginnings are cut ` +
  'off, as by lm-evaluation-harness.';
