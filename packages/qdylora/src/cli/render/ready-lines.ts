import { byteSizeText } from '../../config/values/byte-size.ts';
import type { ReadyEvent } from '../../recipes/run-folder/finetune-events.ts';
import { VERSION } from '../../version.ts';

/** What is about to be trained, in three lines: model, adapter, data. */
export const readyLines = (event: ReadyEvent): string[] => [
  modelLine(event),
  trainedLine(event),
  dataLine(event),
];

function modelLine({ backend, model, config }: ReadyEvent): string {
  const { quantization, doubleQuantization, computeDtype } = config;
  const storage =
    quantization === 'none'
      ? 'not quantized'
      : `${quantization}${doubleQuantization ? ' + double quantization' : ''}`;
  return (
    `qdylora ${VERSION} · ${backend}, ${computeDtype} · ${model.name} (${model.modelType}, ` +
    `${millions(model.parameterCount)}) · ${storage} ${byteSizeText(model.weightBytes)}`
  );
}

function trainedLine({ adapter, model, config: { targetModules } }: ReadyEvent): string {
  const trainable = adapter?.trainableCount ?? model.parameterCount;
  const targets = Array.isArray(targetModules) ? targetModules.join(', ') : targetModules;
  const kind = adapter
    ? `adapter: ${adapter.matched.length} layers (${targets}), ranks ${adapter.ranks.join(' ')}`
    : 'full training';
  return `${kind}, ${millions(trainable)} trainable`;
}

function dataLine({ data: { training, heldOut, report }, config }: ReadyEvent): string {
  return [
    `data: ${counted(training, 'row')} (${report.format})`,
    `${heldOut.toLocaleString('en-US')} held out`,
    ...(report.dropped > 0 ? [`${report.dropped} dropped`] : []),
    ...(report.truncated > 0 ? [cutText(report, config.maxSeqLength)] : []),
    ...(report.skipped > 0 ? [`${counted(report.skipped, 'bad row')} skipped`] : []),
  ].join(', ');
}

/** How many rows were cut, and how many answer tokens they lost. */
function cutText(report: ReadyEvent['data']['report'], maxSeqLength: number): string {
  const { rows, measuredRows, truncated, truncatedAnswers, lostTokens } = report;
  const measured = measuredRows < rows ? ` of the first ${measuredRows}` : '';
  const lost =
    truncatedAnswers > 0
      ? `${truncatedAnswers} of them lost ${lostTokens.toLocaleString('en-US')} answer tokens`
      : 'no answer token lost';
  return `${truncated}${measured} cut to ${maxSeqLength} tokens (${lost})`;
}

const counted = (count: number, noun: string): string =>
  `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;

const millions = (count: number): string =>
  count < 1e5 ? count.toLocaleString('en-US') : `${(count / 1e6).toFixed(1)} M`;
