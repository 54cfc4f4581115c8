import type { Environment } from '../src/cli/read-env.ts';
import { createTerminal, type Terminal } from '../src/cli/terminal.ts';

const PLAIN: Environment = {
  isTty: false,
  hasColor: false,
  hasColorInNotes: false,
  columns: 80,
  canAsk: false,
  outlivesTerminal: false,
};

/** A terminal that keeps what is written to it. */
export function terminalInMemory(settings: Partial<Environment> = {}): {
  readonly terminal: Terminal;
  readonly out: () => string;
  readonly err: () => string;
} {
  const stream = () => {
    let text = '';
    return {
      write: (part: string) => {
        text += part;
      },
      read: () => text,
    };
  };
  const [stdout, stderr] = [stream(), stream()];
  const terminal = createTerminal({ ...PLAIN, ...settings }, { stdout, stderr });
  return { terminal, out: stdout.read, err: stderr.read };
}
