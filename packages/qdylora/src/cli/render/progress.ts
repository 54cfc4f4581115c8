import type { Terminal } from '../terminal.ts';
import type { RecipeProgress } from '../../recipes/hooks.ts';

const BAR_CELLS = 10;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** `▕████████▏ ▏`: a fraction as a bar of ten cells, in eighths. */
export function bar(share: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * BAR_CELLS * 8);
  const full = eighths >> 3;
  return `▕${('█'.repeat(full) + EIGHTHS[eighths % 8]).padEnd(BAR_CELLS)}▏`;
}

/** `01:58`, `2:03:10` */
export function clockText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--:--';
  const whole = Math.round(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  return `${hours > 0 ? `${hours}:` : ''}${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** `evaluating ▕████▏ 12/40  00:31 left`, without the time where it is not known. */
export function progressText(verb: string, { done, total, secondsLeft }: RecipeProgress): string {
  const left = secondsLeft === undefined ? '' : `  ${clockText(secondsLeft)} left`;
  return `${verb} ${bar(done / total)} ${done}/${total}${left}`;
}

/** Shows progress in the status line of a terminal; clears it at the end. */
export function showPasses(terminal: Terminal, verb: string): (progress: RecipeProgress) => void {
  return (progress) => terminal.status(progress.done === progress.total ? '' : progressText(verb, progress));
}
