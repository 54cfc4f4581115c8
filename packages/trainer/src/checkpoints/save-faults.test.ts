import { join } from 'node:path';
import { cleanOrphans } from '@qdylora/checkpoint';
import { hostData, QdyloraError, type Backend } from '@qdylora/contract';
import { Crash, MemoryFileSystem, POWER_CUTS, temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { tinyOptions } from '../../test/tiny-run.ts';
import { openKeeper } from './open-keeper.ts';
import { findCheckpoint, listCheckpoints, saveState, type Optimizer } from '../index.ts';
import { freshProgress } from '../run/run-progress.ts';

const STEPS = [1, 2] as const;
const folder = temporaryFolder();
const checkpoints = join(folder, 'checkpoints');
const { optimizer, backend } = trained();

/** Something to save: an optimizer that has done a step. */
function trained(): { optimizer: Optimizer; backend: Backend } {
  const { optimizer, adapted } = tinyOptions();
  optimizer.prepare(adapted.model.backend);
  for (const { gradient } of optimizer.parameters) hostData(gradient!).fill(0.5);
  optimizer.step({ learningRate: 0.1, gradientScale: 1, rows: null });
  return { optimizer, backend: adapted.model.backend };
}

/** A disk on which the run's folder has been there for long. */
function disk(): MemoryFileSystem {
  const memory = new MemoryFileSystem();
  memory.fs.mkdirSync(folder, { recursive: true });
  memory.restart('kept');
  return memory;
}

/**
 * Saves at steps 1 and 2 as a run does, and keeps one: the last save that was acknowledged, and what failed.
 * A power cut ends it.
 */
async function saveAll({ fs }: MemoryFileSystem): Promise<{ acknowledged: number; failures: unknown[] }> {
  const keeper = openKeeper({ folder, totalLimit: 1, fs });
  const failures: unknown[] = [];
  let acknowledged = 0;
  try {
    keeper.begin({ backend, optimizer, identity: {} }, 'latest');
    for (const step of STEPS) {
      (hostData(optimizer.parameters[0].view) as Float32Array)[0] = step;
      try {
        await keeper.save({ backend, optimizer, identity: {}, progress: { ...freshProgress(), step } });
        acknowledged = step;
      } catch (failure) {
        failures.push(failure);
        if (isCut(failure)) break;
      }
    }
  } catch (failure) {
    failures.push(failure);
  } finally {
    keeper.close();
  }
  return { acknowledged, failures };
}

const isCut = (failure: unknown): boolean =>
  failure instanceof Crash || (failure as Error).cause instanceof Crash;
const contentOf = (memory: MemoryFileSystem, path: string): [string, string][] =>
  memory
    .files()
    .filter(([name]) => name.startsWith(`${path}/`))
    .map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]);
const stepOf = (path: string | null): number => Number(path?.split('-').at(-1) ?? 0);

/** Step → the files of its checkpoint where nothing fails; and how many calls both saves make. */
async function undisturbed(): Promise<{ files: Map<number, [string, string][]>; calls: number }> {
  const memory = disk();
  const before = memory.calls;
  const files = new Map<number, [string, string][]>();
  await saveAll(memory);
  const calls = memory.calls - before;
  for (const step of STEPS) {
    const at = disk();
    (hostData(optimizer.parameters[0].view) as Float32Array)[0] = step;
    await saveState(
      join(checkpoints, `step-${step}`),
      { backend, optimizer, identity: {}, progress: { ...freshProgress(), step } },
      { fs: at.fs },
    );
    files.set(step, contentOf(at, join(checkpoints, `step-${step}`)));
  }
  return { files, calls };
}

/** What a new process finds: the newest checkpoint, after cleaning. */
function recovered(memory: MemoryFileSystem): {
  path: string | null;
  damaged: readonly unknown[];
  names: string[];
} {
  const { fs } = memory;
  cleanOrphans(checkpoints, { fs, startedAt: Infinity });
  return {
    ...findCheckpoint(checkpoints, fs),
    names: fs.existsSync(checkpoints) ? fs.readdirSync(checkpoints) : [],
  };
}

describe('saves that are disturbed', () => {
  it(
    'by a power cut at any call: no acknowledged save is lost, none is damaged, and each is byte for byte ' +
      'what an undisturbed one is',
    async () => {
      const { files, calls } = await undisturbed();
      const seen = new Set<number>();
      for (let call = 1; call <= calls; call++) {
        for (const cut of POWER_CUTS) {
          const memory = disk();
          const at = `call ${call} of ${calls}, what was not synced is ${cut}`;
          memory.failAt(memory.calls + call, 'crash');
          const { acknowledged, failures } = await saveAll(memory);
          expect(failures.every(isCut), `${at}: ${String(failures[0])}`).toBe(true);
          memory.restart(cut, call);
          const { path, damaged, names } = recovered(memory);
          const step = stepOf(path);
          expect([damaged, names.filter((name) => !/^step-\d+$/.test(name))], at).toEqual([[], []]);
          expect(step, at).toBeGreaterThanOrEqual(acknowledged);
          if (path) expect(contentOf(memory, path), at).toEqual(files.get(step));
          seen.add(step);
        }
      }
      expect([...seen].sort()).toEqual([0, 1, 2]);
      expect(calls).toBeGreaterThan(100);
    },
  );

  it.each(['ENOSPC', 'EIO', 'EMFILE', 'EROFS'])(
    'by %s at any call say so with a typed error, or are not hurt; the save before is whole and found, and ' +
      'no orphan stays',
    async (code) => {
      const { files, calls } = await undisturbed();
      const outcomes = { unhurt: 0, failed: 0 };
      for (let call = 1; call <= calls; call++) {
        const memory = disk();
        const at = `call ${call} of ${calls}`;
        memory.failAt(memory.calls + call, code);
        const { acknowledged, failures } = await saveAll(memory);
        for (const failure of failures)
          expect(
            QdyloraError.isInstance(failure) && [failure.code, (failure.cause as { code?: string }).code],
            `${at}: ${String(failure)}`,
          ).toEqual([expect.stringMatching(/^(WRITE_FAILED|BAD_RESUME)$/), code]);
        outcomes[failures.length > 0 ? 'failed' : 'unhurt']++;
        const { path, damaged, names } = recovered(memory);
        const step = stepOf(path);
        expect([damaged, names.filter((name) => !/^step-\d+$/.test(name))], at).toEqual([[], []]);
        expect(step, at).toBeGreaterThanOrEqual(acknowledged);
        if (path) expect(contentOf(memory, path), at).toEqual(files.get(step));
        expect(acknowledged === STEPS.at(-1) || failures.length > 0, at).toBe(true);
      }
      for (const count of Object.values(outcomes)) expect(count).toBeGreaterThan(0);
    },
  );

  it('by a write that takes one byte, at any call, are not hurt: the same bytes', async () => {
    const { files, calls } = await undisturbed();
    for (let call = 1; call <= calls; call++) {
      const memory = disk();
      memory.failAt(memory.calls + call, 'short');
      expect(await saveAll(memory), `call ${call}`).toEqual({ acknowledged: STEPS.at(-1), failures: [] });
      expect(contentOf(memory, join(checkpoints, `step-${STEPS.at(-1)}`)), `call ${call}`).toEqual(
        files.get(STEPS.at(-1)!),
      );
    }
  });

  it(
    'by a kill leave nothing for good, also where another process has the number of the killed one by ' +
      'now: the lock says that nobody else writes there',
    () => {
      const memory = disk();
      const living = process.ppid;
      const left = [
        `${checkpoints}/step-9.tmp-${living}-0123456789ab`,
        `${folder}/adapter.tmp-${living}-0123456789ab`,
      ];
      for (const path of left) memory.fs.mkdirSync(path, { recursive: true });
      const keeper = openKeeper({ folder, fs: memory.fs });
      keeper.begin({ backend, optimizer, identity: {} }, 'latest');
      keeper.close();
      expect(left.map((path) => memory.fs.existsSync(path))).toEqual([false, false]);
    },
  );

  it('in a folder that cannot be read do not begin anew', async () => {
    const memory = disk();
    await saveAll(memory);
    const broken = {
      ...memory.fs,
      readdirSync: () => {
        throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
      },
    } as unknown as typeof memory.fs;
    expect(() => listCheckpoints(checkpoints, broken)).toThrow(
      /The folder .*checkpoints cannot be read: EIO/,
    );
  });
});
