import { DROP_REASONS, reasonsText } from '@qdylora/data';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { shortQuantizationText } from '../../recipes/adapter/base-quantization.ts';
import type { ReadyEvent } from '../../recipes/run-folder/finetune-events.ts';
import { countedText, countText } from '../../report/number-text.ts';
import { VERSION } from '../../version.ts';

/** A share of dropped rows from which on a line says what to do. */
const MANY_DROPPED = 0.1;

/** What is about to be trained: model, adapter, data, and whether many rows are missing. */
export const readyLines = (event: ReadyEvent): string[] => [
  modelLine(event),
  trainedLine(event),
  dataLine(event),
  ...droppedLines(event),
];

function modelLine({ backend, model, config }: ReadyEvent): string {
  const storage = shortQuantizationText(config);
  return (
    `qdylora ${VERSION} · ${backend}, ${config.computeDtype} · ${model.name} (${model.modelType}, ` +
    `${millions(model.parameterCount)}) · ${storage} ${byteSizeText(model.weightBytes)}`
  );
}

function trainedLine({ adapter, model, config: { targetModules } }: ReadyEvent): string {
  const trainable = adapter?.trainableCount ?? model.parameterCount;
  const targets = Array.isArray(targetModules) ? targetModules.join(', ') : targetModules;
  const kind = adapter
    ? `adapter: ${adapter.matched.length} layers (${targets}), ${ranksText(adapter.ranks)}`
    : 'full training';
  return `${kind}, ${millions(trainable)} trainable`;
}

const ranksText = (ranks: readonly number[]): string =>
  `rank${ranks.length === 1 ? '' : 's'} ${ranks.join(' ')}`;

function dataLine({ data: { training, heldOut, report }, config }: ReadyEvent): string {
  const { dropped, truncated, skipped } = report;
  return [
    `data: ${countedText(training, 'row')} to train on, ${countText(heldOut)} held out (${report.format}).`,
    ...(truncated > 0 ? [cutText(report, config.maxSeqLength)] : []),
    ...(dropped > 0 ? [`Dropped: ${countedText(dropped, 'row')} (${reasonsText(report.reasons)}).`] : []),
    ...(skipped > 0 ? [`Skipped: ${countedText(skipped, 'bad row')}.`] : []),
  ].join(' ');
}

type DatasetReport = ReadyEvent['data']['report'];

/** How many rows were cut, and how many answer tokens they lost. */
function cutText(report: DatasetReport, maxSeqLength: number): string {
  const { truncated, truncatedAnswers, lostTokens } = report;
  const lost =
    truncatedAnswers > 0
      ? `${countText(truncatedAnswers)} of them lost ${countText(lostTokens)} answer tokens`
      : 'no answer token lost';
  return `Cut to ${maxSeqLength} tokens: ${countText(truncated)} of ${measuredText(report)} (${lost}).`;
}

/** Says what to do if cutting leaves many rows without a token to predict. */
function droppedLines({ data: { report }, config }: ReadyEvent): string[] {
  const cutOff = report.reasons[DROP_REASONS.cutOff] ?? 0;
  if (cutOff <= MANY_DROPPED * report.measuredRows) return [];
  return [
    `${countText(cutOff)} of ${measuredText(report)} were cut before their first answer token: raise ` +
      `max_seq_length (${config.maxSeqLength}).`,
  ];
}

const measuredText = ({ rows, measuredRows }: DatasetReport): string =>
  `${measuredRows < rows ? 'the first ' : ''}${countedText(measuredRows, 'row')}`;

const millions = (count: number): string =>
  count < 1e5 ? countText(count) : `${(count / 1e6).toFixed(1)} M`;
