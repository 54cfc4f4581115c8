import type { Environment } from './read-env.ts';

export type Color = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

const CODES: Readonly<Record<Color, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
};

/** Where a command writes: results to standard output, everything else to standard error. */
export interface Terminal extends Environment {
  /** Writes one line of the result. */
  out(line: string): void;
  /** Writes a part of a line of the result: text that streams. */
  write(text: string): void;
  /** Writes a line of progress, a warning or an error. */
  note(line: string): void;
  /**
   * Draws the status line below the notes, cut to the width of the terminal. Only where `isTty`; empty text
   * removes it.
   */
  status(text: string): void;
  paint(color: Color, text: string): string;
}

/** The escape sequences that `paint` adds. */
const PAINT = new RegExp(`\\x1b\\[(${Object.values(CODES).flat().join('|')})m`, 'g');

const withoutColors = (line: string): string => line.replaceAll(PAINT, '');

export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** A line that wraps cannot be redrawn. */
const fitted = (line: string, columns: number): string =>
  line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;

export function createTerminal(environment: Environment, { stdout, stderr }: Streams): Terminal {
  let shownStatus = '';
  const clear = (): void => {
    if (shownStatus !== '') stderr.write('\r\x1b[2K');
    shownStatus = '';
  };
  const draw = (status: string): void => {
    stderr.write(status);
    shownStatus = status;
  };
  return {
    ...environment,
    // a getter: the window may be resized, and the spread above has copied one value
    get columns() {
      return environment.columns;
    },
    out: (line) => {
      clear();
      stdout.write(`${environment.hasColor ? line : withoutColors(line)}\n`);
    },
    write: (text) => {
      clear();
      stdout.write(text);
    },
    note: (line) => {
      const status = shownStatus;
      clear();
      stderr.write(`${environment.hasColorInNotes ? line : withoutColors(line)}\n`);
      if (status !== '') draw(status);
    },
    status(text) {
      if (!environment.isTty) return;
      clear();
      if (text !== '') draw(fitted(text, environment.columns));
    },
    paint(color, text) {
      const [open, close] = CODES[color];
      const isShown = environment.hasColor || environment.hasColorInNotes;
      return isShown ? `\x1b[${open}m${text}\x1b[${close}m` : text;
    },
  };
}
