import { byteSizeText } from '../../config/byte-size.ts';
import type { FinetuneEvent, ReadyEvent } from '../../recipes/run-folder/finetune-events.ts';
import { lossText } from '../../report/number-text.ts';
import { VERSION } from '../../version.ts';
import { forecastLines, memoryLines } from './memory-lines.ts';
import type { Terminal } from '../terminal.ts';
import { profileLines } from './profile-lines.ts';
import { bar, clockText, progressText } from './progress.ts';
import { visibleText } from './visible-text.ts';

type StepEvent = Extract<FinetuneEvent, { type: 'step' }>;

/** Plain output shows about so many steps of a run, evenly spread. */
const PLAIN_LINES = 50;
/** Weight of the newest step in the average that time left is told from. */
const NEWEST_WEIGHT = 0.1;

/** Shows a run as it goes: one line that is redrawn where somebody watches, else plain lines. */
export function showTraining(terminal: Terminal): (event: FinetuneEvent) => void {
  let secondsPerStep = NaN;
  const showStep = (event: StepEvent): void => {
    secondsPerStep = Number.isNaN(secondsPerStep)
      ? event.stepSeconds
      : (1 - NEWEST_WEIGHT) * secondsPerStep + NEWEST_WEIGHT * event.stepSeconds;
    const { step, totalSteps } = event;
    const left = secondsPerStep * (totalSteps - step);
    if (terminal.isTty) return terminal.status(stepLine(event, left, terminal.columns));
    if (step === 1 || step === totalSteps || step % Math.max(1, Math.round(totalSteps / PLAIN_LINES)) === 0)
      terminal.note(stepLine(event, left, Infinity));
  };
  return (event) => {
    switch (event.type) {
      case 'notice':
        return terminal.note(terminal.paint('yellow', visibleText(event.message)));
      case 'ready':
        return readyLines(event).forEach((line) => terminal.note(line));
      case 'forecast':
        return forecastLines(event).forEach((line) => terminal.note(line));
      case 'plan':
        return event.resumedFrom
          ? terminal.note(`goes on from ${event.resumedFrom}, step ${event.startStep} of ${event.totalSteps}`)
          : undefined;
      case 'step':
        return showStep(event);
      case 'phase':
        return terminal.status(phaseText(event));
      case 'eval':
        return terminal.note(
          `step ${event.step}: held-out loss ` +
            `${event.byRank.map(({ rank, loss }) => `${rank === null ? '' : `${rank}: `}${lossText(loss)}`).join('  ')}${event.isBest ? '  (best so far)' : ''}`,
        );
      case 'warning':
        return terminal.note(terminal.paint('yellow', visibleText(event.message)));
      case 'checkpoint':
        return event.kind === 'step'
          ? terminal.note(terminal.paint('dim', `saved ${event.path}`))
          : undefined;
      case 'profile':
        return profileLines(event).forEach((line) => terminal.note(line));
      case 'memory':
        return memoryLines(event).forEach((line) => terminal.note(line));
      case 'done':
        return event.result.stoppedBy === 'early_stopping'
          ? terminal.note(
              `stopped early after step ${event.result.step}; adapter-best is from step ` +
                `${event.result.best?.step ?? 0}`,
            )
          : terminal.status('');
      case 'report':
        return terminal.status('');
    }
  };
}

/** What a narrow terminal does without, first to last. */
const LESS_NEEDED = ['memory', 'rate', 'lr', 'rank', 'bar'] as const;

/**
 * `step 84/200 ▕████▏ loss 0.912 rank 16 lr 1.8e-4 2,140 tok/s 688 MB 01:56 left`, or as much of it as there
 * is room for.
 */
function stepLine(
  { step, totalSteps, loss, rank, learningRate, tokensPerSecond, residentBytes }: StepEvent,
  left: number,
  columns: number,
): string {
  const parts = new Map<string, string>(
    Object.entries({
      count: `step ${String(step).padStart(String(totalSteps).length)}/${totalSteps}`,
      ...(columns < Infinity && { bar: bar(step / totalSteps) }),
      loss: `loss ${lossText(loss)}`,
      ...(rank !== null && { rank: `rank ${rank}` }),
      lr: `lr ${learningRate.toExponential(1)}`,
      rate: `${rateText(tokensPerSecond)} tok/s`,
      memory: byteSizeText(residentBytes),
      left: `${clockText(left)} left`,
    }),
  );
  const line = (): string => [...parts.values()].join('  ');
  for (const name of LESS_NEEDED) if (line().length >= columns) parts.delete(name);
  return line();
}

const rateText = (rate: number): string =>
  rate < 100 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en-US');

const phaseText = ({ phase, done, total, secondsLeft }: Extract<FinetuneEvent, { type: 'phase' }>): string =>
  done === undefined || total === undefined
    ? `${phase} …`
    : progressText(phase, { done, total, secondsLeft });

const counted = (count: number, what: string): string =>
  `${count.toLocaleString('en-US')} ${what}${count === 1 ? '' : 's'}`;

const millions = (count: number): string =>
  count < 1e5 ? count.toLocaleString('en-US') : `${(count / 1e6).toFixed(1)} M`;

/** Weights, gradients and the two moments of AdamW, all float32. */
const BYTES_PER_TRAINED = 4 * 4;

/** What is about to be trained, in three lines. */
export function readyLines({ backend, model, adapter, data, config }: ReadyEvent): string[] {
  const stored =
    config.quantization === 'none'
      ? 'not quantized'
      : `${config.quantization}${config.doubleQuantization ? ' + double quantization' : ''}`;
  const trained = adapter?.trainableCount ?? model.parameterCount;
  const targets = Array.isArray(config.targetModules)
    ? config.targetModules.join(', ')
    : config.targetModules;
  return [
    `qdylora ${VERSION} · ${backend}, ${config.computeDtype} · ${model.name} (${model.modelType}, ` +
      `${millions(model.parameterCount)}) · ${stored} ${byteSizeText(model.weightBytes)}`,
    `${adapter ? `adapter: ${adapter.matched.length} layers matched by ${targets}, ranks ` + `${adapter.ranks.join(' ')}` : 'full training'}, ` +
      `${millions(trained)} trainable · ${byteSizeText(trained * BYTES_PER_TRAINED)} with gradients and ` +
      `optimizer`,
    `data: ${counted(data.training, 'row')} (${data.report.format}), ` +
      `${data.heldOut.toLocaleString('en-US')} held ` +
      `out${data.report.dropped > 0 ? `, ${data.report.dropped} dropped` : ''}${cutWords(data.report, config.maxSeqLength)}${data.report.skipped > 0 ? `, ${counted(data.report.skipped, 'bad row')} ` + `skipped` : ''}`,
  ];
}

/** How many rows were cut, and what that took from the answers. */
function cutWords(
  { rows, measuredRows, truncated, truncatedAnswers, lostTokens }: ReadyEvent['data']['report'],
  maxSeqLength: number,
): string {
  if (truncated === 0) return '';
  const lost =
    truncatedAnswers > 0
      ? ` (${truncatedAnswers} of them lost ${lostTokens.toLocaleString('en-US')} answer tokens)`
      : ' (no answer token lost)';
  return (
    `, ${truncated}${measuredRows < rows ? ` of the first ${measuredRows}` : ''} cut to ` +
    `${maxSeqLength} tokens${lost}`
  );
}
