import { rmSync } from 'node:fs';
import { firstExample } from '@qdylora/data';
import { anchorLevel } from '@qdylora/lora-dynamic';
import type { TrainResult } from '@qdylora/trainer';
import type { ReportSamples } from '../../report/report-data.ts';
import { asStored, mergedWeights } from '../adapter/adapted-weights.ts';
import { writeAdapted } from '../adapter/write-adapter.ts';
import { usedMemory } from '../memory-plan/forecast-memory.ts';
import { collectGarbage } from '../memory-plan/resident-memory.ts';
import { adapterMetadata } from '../run/adapter-metadata.ts';
import { judgeBudgets } from '../run/judging/judge-budgets.ts';
import type { Judgement } from '../run/judging/judgement.ts';
import type { OpenedRun } from '../run/opened-run.ts';
import type { RunSession } from '../run/run-session.ts';
import type { EventLine } from '../run-folder/event-line.ts';
import type { RunFiles } from '../run-folder/finetune-events.ts';
import { runPaths } from '../run-folder/output-folder.ts';
import { readReport } from '../run-folder/read-report.ts';
import { lossChange } from './loss-change.ts';
import { nextCommand } from './next-command.ts';
import { defaultLearningRate } from '../run/steps/default-learning-rate.ts';
import { rateReport } from './rate-report.ts';
import { reportPage, runReport, writeReports, type ReportParts, type RunReport } from './run-report.ts';
import { sampleRanks, sampleTexts } from './sample-texts.ts';
import { configWithDtype, weightTensors, writeModelFolder } from './write-model.ts';

/** What is known of a run after its last step. */
export interface FinishedTraining {
  readonly training: TrainResult;
  readonly judgement: Judgement | null;
  /** All events of the run, also those of earlier processes. */
  readonly events: readonly EventLine[];
  /** The forecast before the first step; null where there was none. */
  readonly forecastBytes: number | null;
}

export interface ShippedRun {
  readonly report: RunReport;
  readonly files: RunFiles;
}

/** Writes the adapter (or the trained model), sample texts and the report into the run's folder. */
export async function shipRun(
  opened: OpenedRun,
  { training, judgement, events, forecastBytes }: FinishedTraining,
  session: RunSession,
): Promise<ShippedRun> {
  const { config, source, data, run, chosen } = opened;
  const { emit, notes, marks } = session;
  const arraysBytes = run.model.backend.memory.usage().peakTouchedBytes;
  freeTrainingMemory(opened);
  emit({ type: 'phase', phase: 'writing' });
  const readNote = data.readNote();
  if (readNote) notes.push(ofWorker(readNote, session));
  const paths = runPaths(config.outputDir);
  removeOtherReport(paths, training.step);
  await writeWeights(opened); // before the rest: what fails later costs no weights
  const budgets = await judgeBudgets(opened, judgement, session);
  const change = lossChange(events, judgement?.ranks?.ranks ?? [], training.step);
  if (change) session.notice(change);
  const samples = await writeSamples(opened, judgement, session);
  const parts: ReportParts = {
    config,
    modelName: source.name,
    result: training,
    judgement,
    budgets,
    rate: rateReport({
      config,
      defaultRate: defaultLearningRate(config, source.config),
      modelName: source.name,
      events,
      tuneFolder: paths.tune,
    }),
    events,
    samples,
    notes: [...notes],
  };
  const report = runReport(parts);
  writeReports(paths, report, reportPage(parts, report, nextCommand(config, report)));
  const files = runFilesOf(opened);
  emit({ type: 'memory', ...usedMemory(marks, arraysBytes, chosen.deviceBytes !== null), forecastBytes });
  emit({ type: 'report', report, files });
  return { report, files };
}

/** Removes the report of an earlier end of the run, which must not stand beside newer weights. */
function removeOtherReport({ reportJson, reportHtml }: ReturnType<typeof runPaths>, steps: number): void {
  const { steps: before } = readReport(reportJson);
  if (before === undefined || before === steps) return;
  for (const path of [reportJson, reportHtml]) rmSync(path, { force: true });
}

/** A note on what this process alone has read. */
const ofWorker = (note: string, { workers }: RunSession): string =>
  workers && workers.size > 1 ? `Worker 0 of ${workers.size}: ${note}` : note;

/** Frees the memory of the optimizer for the tokenizer, texts and files. */
function freeTrainingMemory({ run: { model, training } }: OpenedRun): void {
  training.optimizer.dispose();
  model.backend.memory.trim();
  collectGarbage();
}

function runFilesOf({ config: { outputDir }, run: { adapted } }: OpenedRun): RunFiles {
  const { adapter, model, reportJson, reportHtml } = runPaths(outputDir);
  return {
    outputDir,
    adapter: adapted ? adapter : null,
    model: adapted ? null : model,
    reportJson,
    reportHtml,
  };
}

async function writeWeights(opened: OpenedRun): Promise<void> {
  const {
    config: { outputDir, saveDtype },
    run: { model, adapted },
    source,
  } = opened;
  const paths = runPaths(outputDir);
  if (adapted) return writeAdapted(paths.adapter, adapted, adapterMetadata(opened));
  await writeModelFolder(paths.model, {
    tensors: weightTensors(asStored(mergedWeights(model), model), saveDtype),
    config: configWithDtype(source.config, saveDtype),
    tokenizerFolder: source.tokenizerFolder,
    template: source.template,
    replace: true,
  });
}

const SAMPLES_CUT =
  'The run was stopped while it wrote its sample texts, so some or all of them are missing. The trained ' +
  'weights and the rest of the report are complete.';

async function writeSamples(
  { config: { computeDtype, quantizationLevels }, run: { model, adapted }, data, source }: OpenedRun,
  judgement: Judgement | null,
  { signal, notice }: RunSession,
): Promise<ReportSamples> {
  const ranks = adapted ? sampleRanks(adapted.ranks.ranks, judgement?.ranks?.bestRank ?? null) : [];
  const tokenizer = await source.openTokenizer();
  collectGarbage(); // the files that it was read from
  const { samples, isCut } = await sampleTexts(model, adapted, {
    tokenizer,
    stopIds: source.stopIds,
    example: data.heldOut[0] ?? firstExample(data.training),
    ranks,
    level: anchorLevel(quantizationLevels),
    computeDtype,
    signal,
  });
  if (isCut) notice(SAMPLES_CUT);
  return samples;
}
