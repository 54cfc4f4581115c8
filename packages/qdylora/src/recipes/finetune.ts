import { writeFileDurably, type FileSystem } from '@qdylora/checkpoint';
import { elementCount } from '@qdylora/contract';
import { firstExample } from '@qdylora/data';
import type { EvalProgress } from '@qdylora/eval';
import {
  eventQueue,
  train,
  type StepBatches,
  type TrainCallbacks,
  type TrainEvent,
  type TrainOptions,
  type TrainResult,
} from '@qdylora/trainer';
import type { ComputeDtype } from '@qdylora/tensor';
import { givenByOptions } from '../config/given-values.ts';
import type { RunOptions } from '../config/resolve-run.ts';
import { runYaml } from '../config/write-run-yaml.ts';
import type { ReportSamples } from '../report/report-data.ts';
import type { FinetuneEvent, LogWarningEvent, RunFiles } from './run-folder/finetune-events.ts';
import { prepareRun, type PreparedRun } from './run/prepare-run.ts';
import { asStored, mergedWeights } from './adapter/adapted-weights.ts';
import type { AssembledRun } from './run/assemble-run.ts';
import { checkHooks } from './run/check-hooks.ts';
import type { BackendChoice, ChosenBackend } from './opening/choose-backend.ts';
import { openEventLog, type EventLog } from './run-folder/event-log.ts';
import { forecastMemory, usedMemory } from './memory-plan/forecast-memory.ts';
import type { OpProfile } from './run/op-profile.ts';
import { metricSinks } from './run-folder/metric-sinks.ts';
import { createJudge, JUDGED_TOKENS, type Judge, type Judgement } from './run/judge-run.ts';
import type { RunData } from './run/load-data.ts';
import { openRun } from './run/open-run.ts';
import { openSource, type ModelSource } from './opening/open-source.ts';
import { checkOutputFolder, resumeFrom, runPaths } from './run-folder/output-folder.ts';
import { readAdapter, savedNotice, type AdapterSaved } from './adapter/read-adapter.ts';
import { collectGarbage, markProcess, type ProcessMark } from './memory-plan/resident-memory.ts';
import { runIdentity } from './run-folder/run-identity.ts';
import {
  evaluationsOf,
  reportPage,
  runReport,
  stepsOf,
  writeReports,
  type ReportParts,
  type RunReport,
} from './outputs/run-report.ts';
import { sampleRanks, sampleTexts } from './outputs/sample-texts.ts';
import { afterSteps, assertNotAborted, beforeSteps, tellingAbort } from './run/tell-abort.ts';
import { tokensHash } from './run/tokens-hash.ts';
import { writeAdapted, type AdapterBase } from './adapter/write-adapter.ts';
import { configWithDtype, weightTensors, writeModelFolder } from './outputs/write-model.ts';

/**
 * Every key of a run in camelCase, and what only a program can give: among it callbacks, which the run waits
 * for.
 */
export type FinetuneOptions = Omit<RunOptions, 'backend'> &
  TrainCallbacks & {
    /** By name, or one of your own. */
    readonly backend?: BackendChoice;
    /**
     * On an abort the pass ends before its next op, the last whole step is saved, and `result` rejects with
     * code ABORTED.
     */
    readonly signal?: AbortSignal;
    /** Checkpoints and `events.jsonl` go through it; Node's by default. */
    readonly fs?: FileSystem;
  };

export interface FinetuneResult {
  readonly report: RunReport;
  readonly files: RunFiles;
  readonly training: TrainResult;
}

/**
 * A run that has begun. Nobody has to read its events; each reader gets all of them from when it begins, the
 * first one those of before too.
 */
export interface FinetuneRun extends AsyncIterable<FinetuneEvent> {
  readonly result: Promise<FinetuneResult>;
}

/**
 * Fine-tunes a model at every rank at once, and writes adapter, checkpoints, log and report into `outputDir`.
 *
 * @throws QdyloraError BAD_CONFIG or BAD_ARGUMENT at once for options that do not fit; everything else
 * rejects `result` and ends the iteration
 * @example
 * const run = finetune({ model: 'models/smollm2', dataset: 'gsm8k.jsonl', valSetSize: 200, ranks: [1, 2, 4, 8], outputDir: 'runs/smol' });
 * for await (const event of run) if (event.type === 'step') console.log(event.step, event.rank, event.loss);
 * const { report } = await run.result;
 */
export function finetune({
  signal,
  fs,
  onStep,
  onEvaluate,
  onSave,
  ...options
}: FinetuneOptions = {}): FinetuneRun {
  checkHooks('finetune', { signal, fs, onStep, onEvaluate, onSave });
  const config = prepareRun(givenByOptions(options));
  const events = eventQueue<FinetuneEvent>({
    isDroppable: ({ type }) => type === 'step',
    mostWaiting: MOST_WAITING_STEPS,
  });
  const result = runFinetune(config, {
    choice: options.backend ?? config.backend,
    signal,
    fs,
    callbacks: { onStep, onEvaluate, onSave },
    emit: events.push,
  });
  result.then(
    () => events.close(),
    (error: unknown) => events.close(error),
  );
  return { result, [Symbol.asyncIterator]: () => events[Symbol.asyncIterator]() };
}

/** Steps that wait for a reader; one that keeps up never has more than a few. */
const MOST_WAITING_STEPS = 4096;

interface Hooks {
  readonly choice: BackendChoice;
  readonly signal?: AbortSignal;
  readonly fs?: FileSystem;
  readonly callbacks: TrainCallbacks;
  readonly emit: (event: FinetuneEvent) => void;
}

/** Shared by the stages of a run that is under way. */
interface Stage extends Hooks {
  readonly config: PreparedRun;
  readonly computeDtype: ComputeDtype;
  readonly source: ModelSource;
  /**
   * Whole weights of the adapter that the run goes on from; they stay as they are, and are written with the
   * new one.
   */
  readonly saved: AdapterSaved | null;
  readonly data: RunData;
  readonly run: AssembledRun;
  readonly judge: Judge | null;
  readonly chosen: ChosenBackend;
  readonly profile: OpProfile | null;
  readonly notes: string[];
  readonly memory: MemoryBooks;
}

/** What the process had before its first step, and what was said of its needs. */
interface MemoryBooks {
  readonly marks: ProcessMark[];
  forecastBytes: number | null;
}

async function runFinetune(asked: PreparedRun, hooks: Hooks): Promise<FinetuneResult> {
  await Promise.resolve(); // the caller gets the run before it begins
  checkOutputFolder(asked.outputDir, asked.resumeFromCheckpoint);
  hooks.emit({ type: 'phase', phase: 'loading' });
  const memory: MemoryBooks = { marks: [], forecastBytes: null };
  markProcess(memory.marks, 'Node and the program');
  const notes: string[] = [];
  const notice = (message: string): void => {
    notes.push(message);
    hooks.emit({ type: 'notice', message });
  };
  const saved = asked.adapter ? readAdapter(asked.adapter).saved : null;
  if (saved) notice(savedNotice(saved));
  const before = beforeSteps(asked.resumeFromCheckpoint);
  const source = await tellingAbort(before, () =>
    openSource(asked, { tell: notice, signal: hooks.signal, saved }),
  );
  using opened = await tellingAbort(before, () =>
    openRun(asked, source, {
      ...hooks,
      openTokenizer: source.openTokenizer,
      warn: notice,
      onPart: (part) => markProcess(memory.marks, part),
    }),
  );
  const { config, data, chosen, run, profile } = opened;
  const { computeDtype } = config;
  const judge =
    data.heldOut.length === 0 ? null : createJudge(run.model, run.adapted, data.heldOut, JUDGED_TOKENS);
  const stage: Stage = {
    ...hooks,
    config,
    computeDtype,
    source,
    saved,
    data,
    run,
    judge,
    chosen,
    profile,
    notes,
    memory,
  };
  sayReady(stage);
  await tellingAbort(before, () => sayForecast(stage));
  const trained = await trainAndLog(stage);
  // awaited: the backend lives until then
  return await tellingAbort(afterSteps(trained.training.checkpoint), () => finish(stage, trained));
}

function sayReady({ emit, config, source, data, chosen, run: { model, adapted } }: Stage): void {
  emit({
    type: 'ready',
    config,
    backend: chosen.label,
    model: {
      name: source.name,
      modelType: model.modelType,
      parameterCount: model.parameterCount,
      weightBytes: model.weightBytes,
    },
    adapter: adapted && { ...adapted.report, ranks: adapted.ranks.ranks },
    data: { report: data.report, training: data.training.length, heldOut: data.heldOut.length },
  });
}

/** A caller's own backend has no dry twin: of it nothing is known. */
async function sayForecast({
  emit,
  config,
  computeDtype,
  source,
  data,
  run,
  chosen,
  memory,
  signal,
}: Stage): Promise<void> {
  assertNotAborted(signal, 'forecast');
  if (!chosen.dry) return;
  const forecast = await forecastMemory(
    { ...config, computeDtype },
    { run, data },
    { dryBackend: chosen.dry, model: source.config.raw, marks: memory.marks },
  );
  memory.forecastBytes = forecast.totalBytes;
  emit({ type: 'forecast', ...forecast });
}

interface Trained {
  readonly training: TrainResult;
  readonly log: EventLog;
}

/** Trains; the run's folder is touched only once its lock is ours. */
async function trainAndLog(stage: Stage): Promise<Trained> {
  const { config, emit, fs, notes, callbacks } = stage;
  const paths = runPaths(config.outputDir);
  const books: { log: EventLog | null } = { log: null };
  const warn = (event: LogWarningEvent): void => {
    notes.push(event.message);
    emit(event);
  };
  const onPlan: TrainOptions['onPlan'] = async ({ startStep }) => {
    writeFileDurably(paths.run, [Buffer.from(await runYaml(config))]);
    books.log = openEventLog(paths.events, { startStep, warn, fs });
  };
  const onStep: TrainCallbacks['onStep'] = (event) => {
    stage.profile?.endStep(event.stepSeconds);
    return callbacks.onStep?.(event);
  };
  const run = train({ ...trainOptions(stage), onPlan, onStep });
  using sinks = metricSinks(config.reportTo, paths, (message) => {
    notes.push(message);
    emit({ type: 'notice', message });
  });
  try {
    for await (const event of run) {
      books.log!.write(event);
      sinks.write(event);
      emit(event);
      noteWarning(event, notes);
    }
  } finally {
    books.log?.close();
  }
  writeProfile(stage);
  return { training: await run.result, log: books.log! };
}

function writeProfile({ profile, chosen, config, emit }: Stage): void {
  if (!profile) return;
  const { profile: file } = runPaths(config.outputDir);
  writeFileDurably(file, [Buffer.from(profile.trace())]);
  emit({ type: 'profile', file, ...profile.summary(chosen.ceilings()) });
}

function noteWarning(event: TrainEvent, notes: string[]): void {
  if (event.type === 'warning' && event.code !== 'NON_FINITE_LOSS') notes.push(event.message);
}

function trainOptions(stage: Stage): TrainOptions {
  const { config, source, data, run, judge, profile, callbacks, emit, signal, fs, computeDtype } = stage;
  const { adapted, totalSteps } = run;
  const onProgress = (progress: EvalProgress): void => emit({ type: 'phase', phase: 'judging', ...progress });
  const evaluate = judge?.forTrainer(config.evalSteps || totalSteps, {
    computeDtype,
    onProgress,
    ranks: config.evalRanks,
  });
  return {
    ...run.training,
    ...callbacks,
    signal,
    resume: resumeFrom(config.resumeFromCheckpoint),
    earlyStopping:
      config.earlyStopping === null
        ? undefined
        : {
            on: config.earlyStopping,
            patience: config.earlyStoppingPatience,
            minDelta: config.earlyStoppingMinDelta,
          },
    evaluate,
    batches: profile ? beginningSteps(run.training.batches, profile) : run.training.batches,
    save: {
      folder: config.outputDir,
      every: config.saveSteps || null,
      totalLimit: config.saveTotalLimit,
      fs,
      otherBytes: resultBytes(stage),
      waitForRoomSeconds: WAIT_FOR_ROOM_SECONDS,
      config: runIdentity(config, {
        fingerprint: source.fingerprint,
        rows: data.training.length,
        rowsHash: data.report.fingerprint,
        tokensHash: tokensHash(data.training),
        totalSteps,
      }),
      writeBest: adapted
        ? (folder) => writeAdapted(folder, adapted, adapterBase(stage), stage.saved)
        : undefined,
    },
  };
}

/** A step begins when it asks for its batches. */
const beginningSteps = (batches: StepBatches, profile: OpProfile): StepBatches => ({
  stepsPerEpoch: batches.stepsPerEpoch,
  epochAt: (step) => batches.epochAt(step),
  batchAt(step) {
    profile.beginStep();
    return batches.batchAt(step);
  },
});

/**
 * A last save on a full disk waits for somebody to free some: training that was paid for is lost otherwise.
 */
const WAIT_FOR_ROOM_SECONDS = 600;

/**
 * What a run writes beside its checkpoints: the adapter and, where rows are held out, the best one; or the
 * whole model.
 */
function resultBytes({
  run: {
    model,
    adapted,
    training: { optimizer },
  },
  judge,
  config: { saveDtype },
}: Stage): number {
  const elements = (adapted ? optimizer.parameters : model.parameters()).reduce(
    (sum, { view }) => sum + elementCount(view.shape),
    0,
  );
  return adapted ? 4 * elements * (judge ? 2 : 1) : (saveDtype === 'bf16' ? 2 : 4) * elements;
}

const adapterBase = ({
  source,
  config: { quantization, doubleQuantization, quantizationBlockSize },
}: Stage): AdapterBase => ({
  name: source.name,
  model_type: source.config.modelType,
  fingerprint: source.fingerprint,
  quantization,
  double_quantization: doubleQuantization,
  quantization_block_size: quantizationBlockSize,
});

/** Writes what the run has come to. */
async function finish(stage: Stage, { training, log }: Trained): Promise<FinetuneResult> {
  const {
    config,
    run: {
      adapted,
      training: { optimizer },
    },
    source,
    judge,
    emit,
    signal,
    computeDtype,
    notes,
  } = stage;
  const paths = runPaths(config.outputDir);
  const judgement: Judgement | null = judge && (await judge.at(training.step, { computeDtype, signal }));
  const arrays = stage.run.model.backend.memory;
  const arraysBytes = arrays.usage().touchedBytes;
  optimizer.dispose();
  arrays.trim(); // room for what follows: the tokenizer, texts, files
  collectGarbage();
  emit({ type: 'phase', phase: 'writing' });
  const read = stage.data.readNote();
  if (read) notes.push(read);
  await writeWeights(stage);
  const samples = await samplesOf(stage, judgement);
  const events = log.text();
  const parts: ReportParts = {
    config,
    modelName: source.name,
    result: training,
    judgement,
    evaluations: evaluationsOf(events),
    samples,
    notes: [...notes],
  };
  const report = runReport(parts);
  writeReports(paths, report, reportPage(parts, stepsOf(events), nextCommand(config, report)));
  const files: RunFiles = {
    outputDir: config.outputDir,
    adapter: adapted ? paths.adapter : null,
    model: adapted ? null : paths.model,
    reportJson: paths.reportJson,
    reportHtml: paths.reportHtml,
  };
  emit({
    type: 'memory',
    ...usedMemory(stage.memory.marks, arraysBytes),
    forecastBytes: stage.memory.forecastBytes,
  });
  emit({ type: 'report', report, files });
  return { report, files, training };
}

async function writeWeights(stage: Stage): Promise<void> {
  const {
    config,
    run: { model, adapted },
    source,
  } = stage;
  const paths = runPaths(config.outputDir);
  const { saveDtype } = config;
  if (adapted) return writeAdapted(paths.adapter, adapted, adapterBase(stage), stage.saved);
  await writeModelFolder(paths.model, {
    tensors: weightTensors(asStored(mergedWeights(model), model), saveDtype),
    config: configWithDtype(source.config, saveDtype),
    tokenizerFolder: source.tokenizerFolder,
    replace: true,
  });
}

async function samplesOf(
  { run: { model, adapted }, data, source, computeDtype, signal, notes, emit }: Stage,
  judgement: Judgement | null,
): Promise<ReportSamples> {
  const ranks = adapted ? sampleRanks(adapted.ranks.ranks, judgement?.ranks?.bestRank ?? null) : [];
  const tokenizer = await source.openTokenizer();
  collectGarbage(); // what it was read from
  const { samples, isCut } = await sampleTexts(model, adapted, {
    tokenizer,
    stopIds: source.stopIds,
    example: data.heldOut[0] ?? firstExample(data.training),
    ranks,
    computeDtype,
    signal,
  });
  if (isCut) {
    notes.push(SAMPLES_CUT);
    emit({ type: 'notice', message: SAMPLES_CUT });
  }
  return samples;
}

const SAMPLES_CUT =
  'The run was stopped while it wrote its sample texts, so some or all of them are missing; what it ' +
  'learned, and the rest of the report, is whole.';

/** What to try next, as a command line. */
export function nextCommand(
  { outputDir, ranks, model }: PreparedRun,
  { smallestGoodRank }: RunReport,
): string {
  const { adapter, model: whole } = runPaths(outputDir);
  if (!ranks) return `npx qdylora generate --model ${whole} --prompt "…"`;
  const rank = smallestGoodRank ?? ranks.at(-1)!;
  return smallestGoodRank === null
    ? `npx qdylora generate --model ${model} --adapter ${adapter} --rank ${rank} --prompt "…"`
    : `npx qdylora export --adapter ${adapter} --rank ${rank} --format peft --output-dir ` +
        `${outputDir}-r${rank}`;
}
