import { execFileSync } from 'node:child_process';

/**
 * Runs one measurement in a process of its own and returns what it says in the last line of its standard
 * output, a row of JSON.
 */
export function rowOfProcess<Row>(command: string, parameters: readonly string[]): Row {
  const output = execFileSync(command, parameters, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return JSON.parse(output.trim().split('\n').at(-1)!) as Row;
}
