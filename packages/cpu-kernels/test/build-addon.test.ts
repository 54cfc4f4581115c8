import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '@qdylora/testing/node';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

it('a build folder that cannot be written ends the build with status 1 and one line', () => {
  const home = temporaryFolder();
  for (const name of ['scripts', 'levels.json', 'package.json'])
    cpSync(join(root, name), join(home, name), { recursive: true });
  writeFileSync(join(home, 'addon'), 'a file in the place of the folder');
  const { status, stderr } = spawnSync(process.execPath, [join(home, 'scripts', 'build-addon.mjs')], {
    env: { ...process.env, CXX: 'true' }, // a compiler that takes everything
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^\[build-addon\] the build folder is not writable: ENOTDIR: .*\n$/);
  expect(status).toBe(1);
});

it('a flag that it does not know ends the build before it begins, with status 2 and the flags', () => {
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'scripts/build-addon.mjs'), '--help'], {
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^\[build-addon\] Unknown option '--help'.*--own-level, --force and --verbose\.\n$/);
  expect(status).toBe(2);
});

it('a build behind a launcher records the version of the compiler, not that of the launcher', async () => {
  const home = temporaryFolder();
  const launcher = join(home, 'launcher');
  writeFileSync(
    launcher,
    '#!/bin/sh\nif [ "$1" = --version ]; then echo launcher 1.0; else shift; echo "compiler 2.0 $*"; fi\n',
    { mode: 0o755 },
  );
  const script = new URL('../scripts/find-compiler.mjs', import.meta.url).href;
  const { compilerVersion } = (await import(script)) as { compilerVersion(compiler: string): string };
  expect(compilerVersion(`${launcher} g++`)).toBe('compiler 2.0 --version');
});

it('the list of shipped levels names these alone, whichever are built', async () => {
  const home = temporaryFolder();
  for (const name of ['kernels', 'native']) symlinkSync(join(root, name), join(home, name));
  mkdirSync(join(home, 'addon', 'build', 'generated'), { recursive: true });
  const script = new URL('../scripts/write-level-sources.mjs', import.meta.url).href;
  const { writeShippedLevels } = (await import(script)) as {
    writeShippedLevels(root: string, levels: string[]): string;
  };
  const text = readFileSync(writeShippedLevels(home, ['generic', 'avx2']), 'utf8');
  expect([...text.matchAll(/\{"(\w+)"/g)].map(([, name]) => name)).toEqual(['generic', 'avx2']);
});
