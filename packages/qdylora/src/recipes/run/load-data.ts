import { QdyloraError } from '@qdylora/contract';
import {
  datasetBytes,
  loadDataset,
  openDataset,
  sharedFiles,
  sourceOf,
  type Dataset,
  type DatasetOptions,
  type DatasetReport,
  type Example,
  type ExampleSource,
  type RowCounts,
  type Tokenizer,
} from '@qdylora/data';
import type { RunConfig } from '../../config/resolve-run.ts';
import { closingNote, watchTemplate } from '../opening/chosen-template.ts';
import type { ModelSource } from '../opening/open-source.ts';
import type { PreparedRun } from './prepare-run.ts';
import type { RunSession } from './run-session.ts';

/**
 * Rows as tokens, for training and held out. Where rows are in memory, this does not hold the tokenizer, so
 * that its memory can be freed.
 */
export interface RunData extends Disposable {
  readonly training: ExampleSource;
  readonly heldOut: readonly Example[];
  readonly report: DatasetReport;
  /** Rows stay in their files and are read when a step needs them. */
  readonly isStreamed: boolean;
  /** What a user should know of the rows. */
  readonly notes: readonly string[];
  /** A summary of the streamed rows read so far; null where the report covers all rows. */
  readNote(): string | null;
}

/**
 * From this size on, rows stay in their files: as tokens in memory they take two to eight times the size of
 * their files, and a second for every megabyte.
 */
const STREAMED_BYTES = 64 * 2 ** 20;

/** The keys that decide how rows become tokens. */
export type RowOptions = Pick<
  RunConfig,
  'maxSeqLength' | 'datasetFormat' | 'completionOnlyLoss' | 'applyChatTemplate' | 'chatTemplate'
> &
  Partial<Pick<RunConfig, 'onBadRow'>>;

/**
 * Reads the rows of a run with the tokenizer of its model and notifies the user of what is unusual. The
 * tokenizer is freed afterwards.
 */
export async function readRows(
  config: PreparedRun,
  {
    openTokenizer,
    vocabularySize,
    template,
  }: Pick<ModelSource, 'openTokenizer' | 'vocabularySize' | 'template'>,
  { notice, signal }: Pick<RunSession, 'notice' | 'signal'>,
): Promise<RunData> {
  const tokenizer = await openTokenizer();
  const data = await loadRunData(config, tokenizer, { vocabularySize, signal });
  for (const note of [closingNote(tokenizer, template), ...data.notes]) if (note) notice(note);
  return data;
}

/**
 * Reads the rows of a run.
 *
 * @throws QdyloraError BAD_CONFIG where no row goes through the chosen chat template; BAD_DATA, MISSING_FILE
 */
async function loadRunData(
  config: PreparedRun,
  tokenizer: Tokenizer | null,
  { vocabularySize, signal }: { readonly vocabularySize: number; readonly signal?: AbortSignal },
): Promise<RunData> {
  const { dataset, evalDataset, valSetSize, seed } = config;
  const watched = watchTemplate(tokenizer, config.chatTemplate);
  const opened = await openTraining(dataset, config, {
    ...datasetOptions(config, watched.tokenizer, signal),
    weights: config.datasetWeights ?? undefined,
    heldOut: valSetSize,
    seed,
  });
  try {
    watched.assertTemplateUsed(opened.report.format);
    const judging =
      evalDataset && (await loadDataset(evalDataset, datasetOptions(config, tokenizer, signal)));
    const judged = judging ? judging.training : opened.heldOut;
    if (judged.length === 0) assertNoneNeeded(config);
    for (const example of judged) assertIdsFit(example, vocabularySize);
    const training = withFittingIds(opened.training, vocabularySize);
    if (!opened.isStreamed) checkAllRows(training);
    return {
      ...opened,
      training,
      heldOut: judged,
      notes: [
        ...heldOutNotes(config, judged.length),
        ...opened.report.notes,
        ...furtherNotes(judging, opened.report),
      ],
    };
  } catch (error) {
    opened[Symbol.dispose]();
    throw error;
  }
}

/** @throws QdyloraError BAD_CONFIG for keys that need held-out rows, where none has been chosen */
function assertNoneNeeded({
  earlyStopping,
  evalBudgets,
  levelSchedule,
  quantizationLevels,
}: RunConfig): void {
  const isFeedback = levelSchedule === 'feedback' && quantizationLevels.length > 1;
  const needing =
    earlyStopping !== null
      ? '`early_stopping`'
      : evalBudgets !== null
        ? '`eval_budgets`'
        : isFeedback && '`level_schedule: feedback`';
  if (!needing) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'val_set_size',
    problem: `${needing} needs held-out rows, but none of the rows was chosen.`,
    nextStep: 'Raise val_set_size, or name an eval_dataset.',
  });
}

/** The names of the rows to train on; those of weight 0 are not read. */
export const trainedNames = ({
  dataset,
  datasetWeights,
}: Pick<RunConfig, 'dataset' | 'datasetWeights'>): string[] =>
  (dataset ?? []).filter((_, i) => (datasetWeights?.[i] ?? 1) > 0);

/** Notes on the held-out rows. */
function heldOutNotes(
  { dataset, datasetWeights, evalDataset, valSetSize }: RunConfig,
  judged: number,
): string[] {
  if (judged === 0 && valSetSize > 0)
    return [
      `Nothing is held out: val_set_size ${valSetSize} chooses no row here that has something to predict, ` +
        `so no loss per rank can be shown. Raise it, or name an eval_dataset.`,
    ];
  if (judged === 0)
    return [
      'Nothing is held out: neither eval_dataset nor val_set_size is set, so no loss per rank can be shown.',
    ];
  if (!evalDataset) return [];
  const shared = sharedFiles(evalDataset, trainedNames({ dataset, datasetWeights }));
  if (shared.length === 0) return [];
  return [
    `eval_dataset: ${shared[0]} ${shared.length === 1 ? 'is' : `and ${shared.length - 1} more files are`} ` +
      `also in dataset, so the held-out loss is that of rows that are trained on. val_set_size holds out ` +
      `rows of dataset.`,
  ];
}

/** Notes on eval_dataset that are not also notes on dataset. */
const furtherNotes = (judging: Dataset | null, { notes }: DatasetReport): string[] =>
  (judging?.report.notes ?? [])
    .filter((note) => !notes.includes(note))
    .map((note) => `eval_dataset: ${note}`);

type OpenedRows = Omit<RunData, 'notes'>;

/** The training rows: in memory, or streamed where they are many. */
async function openTraining(
  dataset: readonly string[],
  { streaming, packing, groupByLength }: RunConfig,
  options: DatasetOptions,
): Promise<OpenedRows> {
  if (streaming ?? datasetBytes(dataset) > STREAMED_BYTES) {
    const { training, heldOut, report, close, readSoFar } = await openDataset(dataset, {
      ...options,
      measure: packing || groupByLength,
    });
    return {
      isStreamed: true,
      training,
      heldOut,
      report,
      readNote: () => (report.measuredRows === report.rows ? null : readNote(readSoFar())),
      [Symbol.dispose]: close,
    };
  }
  const { training, heldOut, report } = await loadDataset(dataset, options);
  return {
    isStreamed: false,
    training: sourceOf(training),
    heldOut,
    report,
    readNote: () => null,
    [Symbol.dispose]: () => {},
  };
}

const readNote = ({ rows, truncated, truncatedAnswers, lostTokens, dropped }: RowCounts): string =>
  `Of ${rows} rows read while training, ${truncated} were cut to max_seq_length, ${truncatedAnswers} of ` +
  `which lost ${lostTokens} answer tokens; ${dropped} had nothing to predict and were left out.`;

/** Reads each row once, so that a wrong id is refused now and not at the step that needs it. */
function checkAllRows(source: ExampleSource): void {
  for (let i = 0; i < source.length; i++) source.at(i);
}

/** Checks each example when it is read: streamed ones do not exist earlier. */
function withFittingIds(source: ExampleSource, vocabularySize: number): ExampleSource {
  return {
    length: source.length,
    lengthAt: source.lengthAt,
    at(index) {
      const example = source.at(index);
      if (example) assertIdsFit(example, vocabularySize);
      return example;
    },
  };
}

/** Options for readers of rows, which have defaults of their own for undefined ones. */
export const datasetOptions = (
  { maxSeqLength, datasetFormat, completionOnlyLoss, applyChatTemplate, onBadRow }: RowOptions,
  tokenizer: Tokenizer | null,
  signal?: AbortSignal,
) => ({
  tokenizer,
  maxSeqLength,
  datasetFormat: datasetFormat ?? undefined,
  completionOnlyLoss: completionOnlyLoss ?? undefined,
  applyChatTemplate,
  onBadRow,
  signal,
});

/**
 * Reads rows to evaluate a model on. Of plain text, the first `limitTokens` in windows of `maxSeqLength`; of
 * rows, as many whole ones as fit.
 */
export async function loadEvalExamples(
  files: readonly string[],
  options: RowOptions & {
    readonly limitTokens: number | null;
    readonly vocabularySize: number;
    readonly signal?: AbortSignal;
  },
  tokenizer: Tokenizer | null,
): Promise<Example[]> {
  const { limitTokens, vocabularySize, signal } = options;
  const watched = watchTemplate(tokenizer, options.chatTemplate);
  const { training, report } = await loadDataset(files, datasetOptions(options, watched.tokenizer, signal));
  watched.assertTemplateUsed(report.format);
  const examples =
    limitTokens === null ? training : firstTokens(training, limitTokens, report.format === 'plain_text');
  for (const example of examples) assertIdsFit(example, vocabularySize);
  return examples;
}

function firstTokens(examples: readonly Example[], limit: number, cuts: boolean): Example[] {
  const limited: Example[] = [];
  let left = limit;
  for (const example of examples) {
    const { ids, labels } = example;
    if (ids.length > left && !(cuts && left >= 2)) break;
    limited.push(
      ids.length <= left ? example : { ...example, ids: ids.slice(0, left), labels: labels.slice(0, left) },
    );
    left -= Math.min(left, ids.length);
  }
  if (limited.length > 0) return limited;
  throw new QdyloraError('BAD_DATA', {
    where: 'limit_tokens',
    problem: `${limit} tokens leave no room for a row.`,
    nextStep: 'Raise --limit-tokens.',
  });
}

/** Refuses ids beyond the embedding, which would read other memory. */
function assertIdsFit({ ids, labels, source }: Example, vocabularySize: number): void {
  const wrong = ids.find((id) => id >= vocabularySize) ?? labels.find((id) => id >= vocabularySize);
  if (wrong === undefined) return;
  throw new QdyloraError('BAD_DATA', {
    where: source ? `${source.file}:${source.line}` : 'data',
    problem:
      `The data has the token id ${wrong}, but the vocabulary of the model has ` +
      `${vocabularySize} tokens.`,
    nextStep:
      'Tokenize with the tokenizer of the model that is trained. If the text names an added token for ' +
      'which the model has no embedding, remove that token.',
    details: { id: wrong, vocabularySize },
  });
}
