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

/** Where a command writes: results to `out`, everything that accompanies them to `note`. */
export interface Terminal extends Environment {
  /** One line of the result. */
  out(line: string): void;
  /** Part of a line of the result: text that streams. */
  write(text: string): void;
  /** One line beside the result: progress, warnings, errors. */
  note(line: string): void;
  /**
   * Redraws the last line of notes, cut to the terminal's width; only where `isTty`. An empty text takes it
   * away.
   */
  status(text: string): void;
  paint(color: Color, text: string): string;
}

export interface Streams {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** A line that wraps could not be redrawn. */
const fitted = (line: string, columns: number): string =>
  line.length < columns ? line : `${line.slice(0, Math.max(0, columns - 2))}…`;

export function createTerminal(environment: Environment, { stdout, stderr }: Streams): Terminal {
  let hasStatus = false;
  const clear = (): void => {
    if (hasStatus) stderr.write('\r\x1b[2K');
    hasStatus = false;
  };
  return {
    ...environment,
    get columns() {
      return environment.columns;
    }, // a window changes its size
    out: (line) => {
      clear();
      stdout.write(`${line}\n`);
    },
    write: (text) => {
      clear();
      stdout.write(text);
    },
    note: (line) => {
      clear();
      stderr.write(`${line}\n`);
    },
    status(text) {
      if (!environment.isTty) return;
      clear();
      if (text === '') return;
      stderr.write(fitted(text, environment.columns));
      hasStatus = true;
    },
    paint(color, text) {
      const [open, close] = CODES[color];
      return environment.hasColor ? `\x1b[${open}m${text}\x1b[${close}m` : text;
    },
  };
}
