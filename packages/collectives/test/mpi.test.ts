import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installedLaunchers, launch, type MpiLauncher } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { sourceHash } from '../scripts/build-addon.mjs';

const launchers = installedLaunchers();

/** Runs a file of this folder on n workers. */
const launchFile = (launcher: MpiLauncher, count: number, file: string, ...words: readonly string[]) => {
  const path = fileURLToPath(new URL(file, import.meta.url));
  return launch(launcher, count, ['--conditions=source', '--import', 'tsx', path, ...words]);
};

/** A worker starts in a second; machines with other work take longer. */
const TIMEOUT = 120_000;

describe('the compiled addon', () => {
  it('was compiled from the sources that are here', () => {
    const hash = readFileSync(new URL('../prebuilt/linux-x64/sources.sha256', import.meta.url), 'utf8');
    expect(hash.trim(), 'run `node scripts/build-addon.mjs` in packages/collectives').toBe(sourceHash());
  });

  it.each(['mpi', 'nccl'])('of %s needs no glibc that is newer than 2.28', (name) => {
    const addon = readFileSync(new URL(`../prebuilt/linux-x64/${name}.node`, import.meta.url), 'latin1');
    const versions = [...addon.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    expect(versions.length).toBeGreaterThan(0);
    expect(Math.max(...versions)).toBeLessThanOrEqual(28);
  });
});

describe.each(launchers)('$name', (launcher) => {
  it.each([1, 2, 3, 4])(
    'runs every collective on %i workers',
    async (count) => {
      const { status, output } = await launchFile(launcher, count, 'every-collective.ts');
      const lines = output
        .split('\n')
        .filter((line) => line.includes('all right'))
        .sort();
      expect(lines, output).toHaveLength(count);
      lines.forEach((line, rank) => {
        expect(line).toContain(`worker ${rank} of ${count}`);
      });
      expect(status).toBe(0);
    },
    TIMEOUT,
  );

  it(
    'ends all workers when one is killed',
    async () => {
      const { status, output } = await launchFile(launcher, 3, 'lost-worker.ts', 'killed');
      expect(output).not.toContain('not reached');
      // In 1 of 60 runs MPICH's launcher ends with 0 and says nothing: `qdylora launch` does not rely on it.
      const isSilent = launcher.name === 'MPICH' && output === '';
      if (!isSilent) expect(status, output).not.toBe(0);
    },
    TIMEOUT,
  );

  it(
    'ends all workers when one hangs, and names the collective',
    async () => {
      const { status, output, seconds } = await launchFile(launcher, 2, 'lost-worker.ts', 'hangs');
      expect(status).not.toBe(0);
      expect(output).toContain(
        '[worker 0 of 2] The collective all-reduce failed: It did not end within 2 seconds. ' +
          'Look at the messages of the other workers: one of them has ended, hangs, or cannot be reached.',
      );
      expect(seconds).toBeLessThan(60); // it hangs for 60 seconds
    },
    TIMEOUT,
  );
});
