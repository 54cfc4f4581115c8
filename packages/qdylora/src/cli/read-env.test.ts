import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { ignoresHangup } from './read-env.ts';

/** A part of /proc/PID/status of Linux. */
const statusOf = (ignored: string): string =>
  `Name:\tbash\nSigBlk:\t0000000000010001\nSigIgn:\t${ignored}\nSigCgt:\t0000000000010003\n`;

describe('a script under nohup', () => {
  it('ignores the signal of a closed terminal, and a script in a terminal does not', () => {
    expect(ignoresHangup(statusOf('0000000000000005'))).toBe(true); // nohup bash train.sh &
    expect(ignoresHangup(statusOf('0000000000000001'))).toBe(true);
    expect(ignoresHangup(statusOf('0000000000000004'))).toBe(false); // bash train.sh &
    expect(ignoresHangup(statusOf('0000000000384004'))).toBe(false); // an interactive bash
    expect(ignoresHangup('')).toBe(false);
  });

  it('is found above npx, which resets the signal for itself and its programs', async ({ skip }) => {
    skip(process.platform !== 'linux', 'needs /proc of Linux');
    const source = fileURLToPath(new URL('read-env.ts', import.meta.url));
    const read = `(await import(${JSON.stringify(source)})).readEnvironment().outlivesTerminal`;
    const print = `console.log(String(${read}))`;
    const node = ['--conditions=source', '--import', 'tsx', '--input-type=module', '-e', print];
    const asNpx =
      `require("node:child_process").spawnSync(process.execPath, ${JSON.stringify(node)}, ` +
      '{ stdio: "inherit" })';
    const printedBy = async (script: string): Promise<string> => {
      const shell = spawn('sh', ['-c', `${script}; true`, 'sh', process.execPath, asNpx], {
        cwd: fileURLToPath(new URL('../..', import.meta.url)),
        env: { ...process.env, _: '' },
        stdio: ['ignore', 'pipe', 'inherit'],
        detached: true, // in a session of its own: the tests may run under nohup
      });
      return (await text(shell.stdout)).trim();
    };
    expect(await Promise.all([printedBy('trap "" HUP; "$1" -e "$2"'), printedBy('"$1" -e "$2"')])).toEqual([
      'true',
      'false',
    ]);
  });
});
