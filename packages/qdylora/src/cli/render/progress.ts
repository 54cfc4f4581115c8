import type { Terminal } from '../terminal.ts';

const BAR_CELLS = 10;
const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** `▕████████▏ ▏`: a share of 1 as a bar of ten cells, in eighths. */
export function bar(share: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share)) * BAR_CELLS * 8);
  const full = eighths >> 3;
  return `▕${('█'.repeat(full) + EIGHTHS[eighths % 8]!).padEnd(BAR_CELLS)}▏`;
}

/** `01:58`, `2:03:10` */
export function clockText(seconds: number): string {
  if (!Number.isFinite(seconds)) return '--:--';
  const whole = Math.round(seconds);
  const two = (n: number): string => String(n).padStart(2, '0');
  const hours = Math.floor(whole / 3600);
  return `${hours > 0 ? `${hours}:` : ''}${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** Shows how many passes of how many are done, where somebody watches. */
export function showPasses(terminal: Terminal, what: string): (done: number, total: number) => void {
  return (done, total) =>
    terminal.status(done === total ? '' : `${what} ${bar(done / total)} ${done}/${total}`);
}
