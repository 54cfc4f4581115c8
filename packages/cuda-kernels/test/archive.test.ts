import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { openCubins, pickTarget } from '../src/index.ts';
import { hashSources, listKernelSources } from '../scripts/kernel-sources.mjs';
import { readCubinResources } from './read-cubin-resources.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const cubins = await openCubins();

/** Two blocks of 128 threads on a multiprocessor, which has 65,536 registers. */
const MOST_REGISTERS = 255;
test('the archive was made from the sources as they are', () => {
  expect(cubins.index.sources, 'run scripts/build-cubins.mjs').toEqual(hashSources(root));
});

test('every source has an image for every target, each with its checksum', () => {
  for (const { name } of listKernelSources(root))
    for (const target of cubins.targets) expect(cubins.image(name, target).length).toBeGreaterThan(0);
  expect(cubins.index.images.length).toBe(listKernelSources(root).length * cubins.targets.length);
});

test('registers and shared memory in the table are those of the cubins, and no kernel spills', () => {
  const [, ...rows] = readFileSync(join(root, 'prebuilt', 'registers.tsv'), 'utf8')
    .trimEnd()
    .split('\n');
  const inTable = new Map<string, string>();
  for (const row of rows) {
    const [source, kernel, target, registers, spillBytes, stackBytes, sharedBytes] = row.split('\t');
    inTable.set(`${source} ${kernel} ${target}`, `${registers} ${sharedBytes}`);
    expect([spillBytes, stackBytes], row).toEqual(['0', '0']);
    expect(Number(registers), row).toBeLessThanOrEqual(MOST_REGISTERS);
  }
  const inCubins = new Map<string, string>();
  for (const { source, target } of cubins.index.images) {
    if (!target.startsWith('sm_')) continue;
    for (const { kernel, registers, sharedBytes } of readCubinResources(cubins.image(source, target), target))
      inCubins.set(`${source} ${kernel} ${target}`, `${registers} ${sharedBytes}`);
  }
  expect(Object.fromEntries(inTable)).toEqual(Object.fromEntries(inCubins));
});

describe('the target of a device', () => {
  const pick = (major: number, minor: number): string => pickTarget(cubins.targets, { major, minor });
  test.each([
    [7, 0, 'sm_70'],
    [7, 5, 'sm_75'],
    [8, 0, 'sm_80'],
    [8, 7, 'sm_86'],
    [8, 9, 'sm_89'],
    [9, 0, 'sm_90'],
    [10, 3, 'sm_100'],
    [11, 0, 'compute_80'],
    [12, 1, 'sm_120'],
  ])('of capability %i.%i is %s', (major, minor, target) => {
    expect(pick(major, minor)).toBe(target);
  });

  test('is refused by name where the device is older than all of them', () => {
    expect(() => pick(6, 1)).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: expect.stringContaining('no kernels for compute capability 6.1') as string,
      }) as Error,
    );
  });
});

test('a missing archive, a damaged one and an unknown kernel are typed errors', async () => {
  await expect(openCubins(join(root, 'src'))).rejects.toMatchObject({ code: 'MISSING_FILE' });
  const unknown = expect.objectContaining({ code: 'UNSUPPORTED' }) as Error;
  expect(() => cubins.image('rms-norm', 'sm_61')).toThrow(unknown);
  const folder = temporaryFolder();
  cpSync(join(root, 'prebuilt'), folder, { recursive: true });
  const bytes = readFileSync(join(folder, 'cubins.bin'));
  const { source, target, offset, packedBytes } = cubins.index.images[3];
  bytes[offset + packedBytes - 20] ^= 1;
  writeFileSync(join(folder, 'cubins.bin'), bytes);
  const opened = await openCubins(folder);
  const damaged = expect.objectContaining({ code: 'BAD_FILE' }) as Error;
  expect(() => opened.image(source, target)).toThrow(damaged);
});
