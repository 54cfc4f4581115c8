import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { checkpointsIn, finished } from '../../test/saved-runs.ts';
import { tinyTrain, failureOf } from '../../test/tiny-run.ts';
import { lockFolder, OPTIMIZER_FILE, type TrainEvent } from '../index.ts';
import { PARAMETERS_FILE } from './save-state.ts';

describe('checkpoints', () => {
  it('at the last step removes what a kill between its save and the removal left over', async () => {
    const folder = temporaryFolder();
    await finished(folder, 6);
    expect(checkpointsIn(folder)).toEqual(['step-2', 'step-4', 'step-6']);
    await tinyTrain({ totalSteps: 6, save: { folder, every: 2, totalLimit: 2 }, resume: 'latest' }).result;
    expect(checkpointsIn(folder)).toEqual(['step-4', 'step-6']);
  });

  it('are kept up to the limit, the newest ones', async () => {
    const folder = temporaryFolder();
    await tinyTrain({ totalSteps: 7, save: { folder, every: 2, totalLimit: 2 } }).result;
    expect(checkpointsIn(folder)).toEqual(['step-6', 'step-7']);
  });

  it('hold what the run adds to them', async () => {
    const folder = temporaryFolder();
    await tinyTrain({
      totalSteps: 2,
      save: {
        folder,
        write: (at) => {
          writeFileSync(join(at, 'adapter.json'), '{}');
        },
      },
    }).result;
    expect(readdirSync(join(folder, 'checkpoints', 'step-2')).sort()).toEqual([
      'adapter.json',
      'manifest.json',
      OPTIMIZER_FILE,
      PARAMETERS_FILE,
      'state.json',
    ]);
  });

  it('of another run are not written over', async () => {
    const folder = temporaryFolder();
    await finished(folder, 2);
    expect((await failureOf(tinyTrain({ save: { folder } }))).code).toBe('NOT_EMPTY');
  });

  it('that cannot be written are a warning in the middle and an error at the end', async () => {
    const folder = temporaryFolder();
    const events: TrainEvent[] = [];
    const full = (): never => {
      throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    };
    const run = tinyTrain({ totalSteps: 4, save: { folder, every: 2, write: full } });
    await expect(
      (async () => {
        for await (const event of run) events.push(event);
      })(),
    ).rejects.toMatchObject({ code: 'WRITE_FAILED' });
    expect(events.flatMap((e) => (e.type === 'warning' ? [[e.code, e.step]] : []))).toEqual([
      ['WRITE_FAILED', 2],
    ]);
    expect(checkpointsIn(folder)).toEqual([]);
  });

  it('leave no lock behind, whether the run ends well or not', async () => {
    const folder = temporaryFolder();
    await finished(folder, 2);
    await failureOf(tinyTrain({ save: { folder } }));
    expect(existsSync(join(folder, 'lock.json'))).toBe(false);
  });

  it('cannot be written by two runs at once', async () => {
    const folder = temporaryFolder();
    const lock = lockFolder(folder);
    expect((await failureOf(tinyTrain({ save: { folder } }))).code).toBe('BUSY_FOLDER');
    lock.release();
    expect((await tinyTrain({ totalSteps: 1, save: { folder } }).result).step).toBe(1);
  });

  it('of a folder that was copied elsewhere still resume', async () => {
    const folder = temporaryFolder();
    const copy = temporaryFolder();
    await finished(folder, 2);
    cpSync(folder, copy, { recursive: true });
    expect((await tinyTrain({ totalSteps: 3, save: { folder: copy }, resume: 'latest' }).result).step).toBe(
      3,
    );
  });
});
