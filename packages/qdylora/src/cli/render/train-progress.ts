import type { EvalEvent, StepEvent, TrainResult } from '@qdylora/trainer';
import type { FinetuneEvent, PhaseEvent } from '../../recipes/run-folder/finetune-events.ts';
import { lossText } from '../../report/number-text.ts';
import type { Terminal } from '../terminal.ts';
import { forecastLines, memoryLines } from './memory-lines.ts';
import { movingAverage } from './moving-average.ts';
import { profileLines } from './profile-lines.ts';
import { progressText } from './progress.ts';
import { readyLines } from './ready-lines.ts';
import { stepLine } from './step-line.ts';
import { timeLeft } from './time-left.ts';
import { visibleText } from './visible-text.ts';
import { wrapText } from './wrap-text.ts';

/** Weight of the newest step in the loss that is shown. */
const NEWEST_WEIGHT = 0.1;

const clockSeconds = (): number => performance.now() / 1000;

/**
 * Shows a run as it goes: a line that is redrawn on a terminal, plain lines every `logging_steps` elsewhere.
 */
export function showTraining(
  terminal: Terminal,
  now: () => number = clockSeconds,
): (event: FinetuneEvent) => void {
  const { note, status, paint } = terminal;
  const time = timeLeft(now);
  const averageLoss = movingAverage(NEWEST_WEIGHT);
  // not for commands to paste, which a line break would cut
  const paragraph = (text: string): void =>
    note(terminal.isTty ? wrapText(text, terminal.columns - 3).join('\n  ') : text);
  let loggingSteps = 1;
  const showStep = (event: StepEvent): void => {
    const figures = { averageLoss: averageLoss(event.loss), secondsLeft: time.afterStep(event) };
    const { step, totalSteps } = event;
    if (terminal.isTty) status(stepLine(event, figures, terminal.columns));
    else if (step === 1 || step === totalSteps || step % loggingSteps === 0)
      note(stepLine(event, figures, Infinity));
  };
  return (event) => {
    switch (event.type) {
      case 'notice':
      case 'warning':
        return paragraph(paint('yellow', visibleText(event.message)));
      case 'ready':
        time.begin(event);
        ({ loggingSteps } = event.config);
        readyLines(event).forEach(paragraph);
        return status('forecasting the memory of a step …');
      case 'forecast':
        forecastLines(event).forEach(paragraph);
        return status('preparing the first step …');
      case 'plan':
        if (event.resumedFrom)
          note(`resumed from ${event.resumedFrom}, step ${event.startStep} of ${event.totalSteps}`);
        return status('first step …');
      case 'step':
        return showStep(event);
      case 'phase':
        time.duringEvaluation(event);
        return status(phaseText(event));
      case 'eval':
        status('');
        return note(evaluationLine(event));
      case 'checkpoint':
        return event.kind === 'step' ? note(paint('dim', `saved ${event.path}`)) : undefined;
      case 'profile':
        return profileLines(event).forEach(note);
      case 'memory':
        return memoryLines(event).forEach(paragraph);
      case 'done':
        return earlyStopLines(event.result).forEach(note);
      case 'report':
        return status('');
    }
  };
}

const PHASES: Readonly<Record<PhaseEvent['phase'], string>> = {
  loading: 'loading model and data …',
  judging: 'evaluating the held-out rows …',
  writing: 'writing adapter, sample texts and report …',
};

const phaseText = ({ phase, done, total, secondsLeft }: PhaseEvent): string =>
  done === undefined || total === undefined
    ? PHASES[phase]
    : progressText('evaluating', { done, total, secondsLeft });

function evaluationLine({ step, byRank, isBest }: EvalEvent): string {
  const losses = byRank.map(({ rank, loss }) => `${rank === null ? '' : `r${rank} `}${lossText(loss)}`);
  const byRankText = byRank.some(({ rank }) => rank !== null) ? ' by rank:' : '';
  return `step ${step}: held-out loss${byRankText} ${losses.join('  ')}${isBest ? '  (best so far)' : ''}`;
}

const earlyStopLines = ({ stoppedBy, step, best }: TrainResult): string[] =>
  stoppedBy === 'early_stopping'
    ? [`stopped early after step ${step}${best ? `; adapter-best is from step ${best.step}` : ''}`]
    : [];
