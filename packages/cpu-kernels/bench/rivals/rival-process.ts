import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * A program that is asked line by line and answers each line with one. It times itself; between its turns it
 * is frozen, so that no spinning thread of it takes a core.
 */
export interface RivalProcess {
  /** @throws where the program ends before it answers, with the end of its error output. */
  ask(line: string): Promise<string>;
  end(): void;
}

export function startRival(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): RivalProcess {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  let waiting: { resolve(answer: string): void; reject(error: Error): void } | null = null;
  let stderrTail = '';
  const fail = (problem: string): void =>
    waiting?.reject(new Error(`${command}: ${problem} ${stderrTail.trim().split('\n').at(-1) ?? ''}`.trim()));
  child.stderr.on('data', (chunk: Buffer) => (stderrTail = (stderrTail + String(chunk)).slice(-2000)));
  child.stdin.on('error', () => fail('closed its input.'));
  child.on('error', (error) => fail(error.message));
  child.on('exit', (code, signal) => fail(`ended with ${code ?? signal}.`));
  createInterface({ input: child.stdout }).on('line', (line) => waiting?.resolve(line));
  return {
    async ask(line) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(
          `${command}: ended with ${child.exitCode ?? child.signalCode}. ` +
            `${stderrTail.trim().split('\n').at(-1) ?? ''}`,
        );
      child.kill('SIGCONT');
      try {
        return await new Promise<string>((resolve, reject) => {
          waiting = { resolve, reject };
          child.stdin.write(`${line}\n`);
        });
      } finally {
        waiting = null;
        child.kill('SIGSTOP');
      }
    },
    end() {
      child.kill('SIGKILL'); // a stopped process hears nothing else
    },
  };
}
