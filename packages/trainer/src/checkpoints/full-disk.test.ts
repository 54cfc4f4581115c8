import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { MemoryFileSystem, temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { tinyOptions } from '../../test/tiny-run.ts';
import { checkpointBytes } from './disk-room.ts';
import { train, type TrainEvent, type TrainOptions } from '../index.ts';

const folder = temporaryFolder();
const CHECKPOINT = bytesOfOne();

/** Of some hundred kilobytes, so that small files do not count. */
function someOptions() {
  return tinyOptions({ totalSteps: 3, hidden: 64, adapter: { ranks: [1, 64] } });
}

function bytesOfOne(): number {
  const { optimizer, adapted } = someOptions();
  optimizer.prepare(adapted.model.backend);
  return checkpointBytes(optimizer);
}

it('is said to need what a checkpoint has, up to a few kilobytes', async () => {
  const disk = diskFor(9);
  const { error } = await trainOn(disk, { totalSteps: 1 });
  const bytes = disk.files().reduce((sum, [, content]) => sum + content.length, 0);
  expect([error, Math.abs(bytes - CHECKPOINT) < 4096]).toEqual([null, true]);
});

/** A disk on which so many checkpoints have room. */
function diskFor(checkpoints: number): MemoryFileSystem {
  const disk = new MemoryFileSystem();
  disk.fs.mkdirSync(folder, { recursive: true });
  disk.capacityBytes = checkpoints * CHECKPOINT;
  return disk;
}

const stepsOn = (disk: MemoryFileSystem): string[] =>
  disk.fs.existsSync(join(folder, 'checkpoints'))
    ? disk.fs.readdirSync(join(folder, 'checkpoints')).sort()
    : [];

interface Ended {
  readonly events: TrainEvent[];
  readonly error: QdyloraError | null;
}

/** Trains on a disk; `hear` is told every event. */
async function trainOn(
  disk: MemoryFileSystem,
  { save, ...options }: Partial<TrainOptions>,
  hear: (event: TrainEvent) => void = () => {},
): Promise<Ended> {
  const events: TrainEvent[] = [];
  try {
    for await (const event of train({
      ...someOptions(),
      ...options,
      save: { folder, fs: disk.fs, ...save },
    })) {
      events.push(event);
      hear(event);
    }
    return { events, error: null };
  } catch (error) {
    return { events, error: error as QdyloraError };
  }
}

const warningsOf = ({ events }: Ended): [string, number][] =>
  events.flatMap((event) => (event.type === 'warning' ? [[event.code, event.step] as [string, number]] : []));

describe('a disk without room', () => {
  it('for one checkpoint, or for what else the run writes, ends the run before its first step', async () => {
    for (const [room, otherBytes] of [
      [0.9, 0],
      [1.5, CHECKPOINT],
    ] as const) {
      const disk = diskFor(room);
      const ended = await trainOn(disk, { save: { folder, otherBytes } });
      expect([ended.error?.code, ended.error?.message, ended.events]).toEqual([
        'WRITE_FAILED',
        expect.stringMatching(
          /^\[save\] The disk of .* has no room for a checkpoint.* of 1 MB \(0 MB free\)\. Free 1 MB there/,
        ),
        [],
      ]);
      expect(stepsOn(disk)).toEqual([]);
    }
  });

  it(
    'for one more checkpoint beside those of save_total_limit takes the place of the oldest, which was to ' +
      'go anyway',
    async () => {
      const disk = diskFor(2.5);
      const ended = await trainOn(disk, { totalSteps: 4, save: { folder, every: 1, totalLimit: 2 } });
      expect([ended.error, warningsOf(ended), stepsOn(disk)]).toEqual([null, [], ['step-3', 'step-4']]);
    },
  );

  it(
    'for a second one is told as soon as it is seen, and the first stays; the error at the end names it ' +
      'and what is missing',
    async () => {
      const disk = diskFor(1.5);
      const ended = await trainOn(disk, { save: { folder, every: 1, totalLimit: 1 } });
      expect(warningsOf(ended)).toEqual([
        ['DISK_FULL', 1],
        ['WRITE_FAILED', 2],
      ]);
      expect([ended.error?.code, ended.error?.message]).toEqual([
        'WRITE_FAILED',
        expect.stringMatching(
          /no room for a checkpoint of 1 MB .* Free 1 MB there.* The last good checkpoint is .*step-1:/,
        ),
      ]);
      expect([(ended.error?.cause as { code?: string } | undefined)?.code, stepsOn(disk)]).toEqual([
        'ENOSPC',
        ['step-1'],
      ]);
    },
  );

  it('at the last save is waited for, and nothing is lost where somebody frees some', async () => {
    const disk = diskFor(2);
    const fill = (): void => {
      disk.capacityBytes = 1;
    };
    const ended = await trainOn(disk, { onStep: fill, save: { folder, waitForRoomSeconds: 60 } }, (event) => {
      if (event.type === 'warning') disk.capacityBytes = Infinity;
    });
    expect([ended.error, warningsOf(ended), stepsOn(disk)]).toEqual([null, [['DISK_FULL', 3]], ['step-3']]);
    expect(ended.events.at(-1)).toMatchObject({
      type: 'done',
      result: { checkpoint: join(folder, 'checkpoints', 'step-3') },
    });
  });

  it('is waited for no longer than Ctrl-C', async () => {
    const disk = diskFor(2);
    const controller = new AbortController();
    const ended = await trainOn(
      disk,
      {
        signal: controller.signal,
        onStep: () => {
          disk.capacityBytes = 1;
        },
        save: { folder, waitForRoomSeconds: 1e6 },
      },
      (event) => {
        if (event.type === 'warning') controller.abort();
      },
    );
    expect([ended.error?.code, ended.error?.message, stepsOn(disk)]).toEqual([
      'ABORTED',
      expect.stringMatching(
        /after step 3; its checkpoint could not be written: .*no room.*No checkpoint was written/,
      ),
      [],
    ]);
  });
});
