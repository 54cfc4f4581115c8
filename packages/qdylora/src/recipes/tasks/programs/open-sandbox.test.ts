import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSandbox } from './open-sandbox.ts';

const hasPython = spawnSync('python3', ['--version']).status === 0;
const sandbox = hasPython ? openSandbox() : null;
const { TMPDIR } = process.env;
const folder = temporaryFolder();
const leftovers = (): string[] => readdirSync(folder).filter((name) => name.startsWith('qdylora-program-'));

// beside other tests, which have programs of their own
beforeAll(() => {
  process.env.TMPDIR = folder;
});
afterAll(() => {
  if (TMPDIR === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = TMPDIR;
});

describe.runIf(hasPython)('the sandbox', () => {
  it.each([
    ['a right program', 'def f(x):\n    return x\n\ndef check(c):\n    assert c(3) == 3\ncheck(f)', true],
    ['a wrong answer', 'def f(x):\n    return 0\nassert f(3) == 3', false],
    ['bad syntax', 'def f(:', false],
    ['an early exit', 'import sys\nsys.exit(0)', false],
    ['an exit past Python', 'import os\nos._exit(0)', false],
    ['a main block, which does not run', 'if __name__ == "__main__":\n    raise ValueError', true],
    ['printing', 'print("é" * 100)', true],
    ['reading input', 'input()', false],
    ['starting a process', 'import subprocess\nsubprocess.run(["true"])', false],
    ['removing a file', 'import os\nos.remove("program.py")', false],
    ['too much memory', 'a = bytearray(1 << 31)', false],
    ['a deep recursion', 'def f(): f()\nf()', false],
  ])('%s', async (_, program, passes) => {
    expect(await sandbox!.passes(program)).toBe(passes);
    expect(leftovers()).toEqual([]);
  });

  it('ends an endless program, also one that catches everything', async () => {
    const stubborn = 'while True:\n    try:\n        while True: pass\n    except BaseException: pass';
    expect(await Promise.all(['while True: pass', stubborn].map((one) => sandbox!.passes(one)))).toEqual([
      false,
      false,
    ]);
  });

  it.runIf(sandbox?.isIsolated)('has no network, not even the own machine', async () => {
    const connect = (host: string): string =>
      `import socket\ntry:\n    socket.create_connection(("${host}", 80), 1)\n` +
      'except ConnectionRefusedError:\n    raise\nexcept OSError:\n    pass';
    expect(await sandbox!.passes(connect('127.0.0.1'))).toBe(true);
    expect(await sandbox!.passes(connect('192.0.2.1'))).toBe(true);
  });

  it('ends a program with its signal, also one that would pass, and begins none after it', async () => {
    const passesLater = 'import time\ntime.sleep(2)';
    expect(await sandbox!.passes(passesLater, AbortSignal.timeout(300))).toBe(false);
    expect(await sandbox!.passes('', AbortSignal.abort())).toBe(false);
  });

  it('runs no more programs at once than it may, whoever gives them', async () => {
    const lock = join(temporaryFolder(), 'lock');
    const alone =
      `import fcntl, time\nfile = open(${JSON.stringify(lock)}, "w")\n` +
      'fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\ntime.sleep(0.3)';
    const { passes } = openSandbox(1);
    expect(await Promise.all([1, 2, 3].map(() => passes(alone)))).toEqual([true, true, true]);
  });
});
