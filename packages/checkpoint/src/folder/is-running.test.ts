import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import { isRunning } from './is-running.ts';

it('is true of this process and of one of somebody else, false of one that has ended', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await once(child, 'exit');
  expect([isRunning(process.pid), isRunning(1), isRunning(child.pid!)]).toEqual([true, true, false]);
});

it('is false of one that was killed and that its parent has not asked for yet', async ({ skip }) => {
  skip(!existsSync('/proc/self/stat'), 'needs /proc');
  const parent = spawn('/bin/sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  }); // sleep asks for nobody
  try {
    const [text] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(text);
    expect(isRunning(pid)).toBe(true);
    await vi.waitFor(
      () => {
        expect(readFileSync(`/proc/${parent.pid!}/comm`, 'utf8')).toBe('sleep\n');
      },
      { timeout: 60_000 },
    ); // until then it is a shell, which does ask
    process.kill(pid, 'SIGKILL');
    await vi.waitFor(
      () => {
        expect(isRunning(pid)).toBe(false);
      },
      { timeout: 60_000 },
    );
    expect(() => process.kill(pid, 0)).not.toThrow(); // its number is still taken
  } finally {
    parent.kill('SIGKILL');
  }
});
