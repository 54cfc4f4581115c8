import { join } from 'node:path';
import { cleanOrphans, writeFolderAtomically, type FileSystem } from '@qdylora/checkpoint';
import { assertArgument, QdyloraError } from '@qdylora/contract';
import { listCheckpoints, pruneCheckpoints, setCheckpointAside } from './checkpoint-folders.ts';
import { checkpointBytes, freeBytes, isFullDisk, noRoom } from './disk-room.ts';
import { lockFolder } from './lock-folder.ts';
import { freshProgress, type RunProgress } from './run-progress.ts';
import { findCheckpoint, resumeState } from './resume-state.ts';
import { saveState, type RunParts } from './save-state.ts';
import type { WarningCode } from '../run/train-events.ts';

export interface SaveOptions {
  /** The run's folder: `checkpoints/step-<n>`, `adapter-best` and `lock.json` lie in it. */
  readonly folder: string;
  /** Steps between two checkpoints. null: only one, at the end or where the run ends early. */
  readonly every?: number | null;
  /** How many checkpoints to keep; 2 by default, at least 1. */
  readonly totalLimit?: number;
  /**
   * Values that a resumed run must share; compared one by one, so the error can say which differs. JSON only.
   */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Adds files to each checkpoint, for example the adapter. */
  readonly write?: (folder: string) => void | Promise<void>;
  /** Fills `adapter-best` each time that an evaluation is the best so far. */
  readonly writeBest?: (folder: string) => void | Promise<void>;
  /**
   * Bytes of other files that the run writes; the disk must have room for them and one checkpoint. 0 by
   * default.
   */
  readonly otherBytes?: number;
  /** How long the last save waits, trying again, while the disk is full; 0 by default. */
  readonly waitForRoomSeconds?: number;
  /** Every call that writes, finds and removes checkpoints goes through it; Node's by default. */
  readonly fs?: FileSystem;
}

/**
 * - `latest`: resume from the newest whole checkpoint, or begin where there is none;
 * - a path: resume from that checkpoint;
 * - null: begin a new run.
 */
export type ResumeFrom = 'latest' | (string & {}) | null;

/** Where a run starts. */
export interface Began {
  readonly progress: RunProgress;
  readonly resumedFrom: string | null;
  readonly warnings: readonly { code: WarningCode; message: string }[];
}

/** The one writer of a run's folder, from `begin` to `close`. */
export interface CheckpointKeeper {
  readonly newest: string | null;
  /** @throws QdyloraError NOT_EMPTY for a new run over old checkpoints; BAD_RESUME where none can be used. */
  begin(parts: Omit<RunParts, 'progress'>, resume: ResumeFrom): Began;
  /**
   * @throws QdyloraError WRITE_FAILED where the disk has no room for a checkpoint and the run's other files.
   */
  assertRoom(parts: Pick<RunParts, 'optimizer'>): void;
  /** How many bytes the next checkpoint will lack, as the disk is now; 0 where it has room. */
  missingBytes(parts: Pick<RunParts, 'optimizer'>): number;
  /**
   * Writes a checkpoint and removes those beyond `totalLimit`; on a full disk it removes those first.
   *
   * @returns the checkpoint's path
   * @throws QdyloraError WRITE_FAILED; for a full disk it says how much is missing.
   */
  save(parts: RunParts): Promise<string>;
  /** Writes `adapter-best`.  @returns its path, or null where `writeBest` was not given */
  saveBest(): Promise<string | null>;
  close(): void;
}

/** A folder of checkpoints. */
interface Place {
  readonly folder: string;
  /** `<folder>/checkpoints` */
  readonly checkpoints: string;
  readonly totalLimit: number;
  readonly fs: FileSystem | undefined;
}

/**
 * Locks a folder for the checkpoints of one run.
 *
 * @throws QdyloraError BUSY_FOLDER where another run writes there.
 */
export function openKeeper(options: SaveOptions): CheckpointKeeper {
  const { folder, totalLimit = 2, otherBytes = 0, write, writeBest, fs } = options;
  assertArgument(
    Number.isSafeInteger(totalLimit) && totalLimit >= 1,
    'save_total_limit',
    `it must be a whole number of at least 1 (got ${totalLimit})`,
  );
  const place: Place = { folder, checkpoints: join(folder, 'checkpoints'), totalLimit, fs };
  const lock = lockFolder(folder);
  let newest: string | null = null;
  return {
    get newest() {
      return newest;
    },
    begin(parts, resume) {
      const start = restoreRun(place, parts, resume);
      newest = start.resumedFrom;
      if (!lock.tookOver) return start;
      return { ...start, warnings: [{ code: 'STALE_LOCK', message: lock.tookOver }, ...start.warnings] };
    },
    assertRoom({ optimizer }) {
      const bytes = checkpointBytes(optimizer);
      const room = roomFor(place, bytes);
      if (room === null || room >= bytes + otherBytes) return;
      throw noRoom({
        folder,
        what: otherBytes > 0 ? 'a checkpoint and the other files of the run' : 'a checkpoint',
        neededBytes: bytes + otherBytes,
        freeBytes: room,
        checkpoint: newest,
      });
    },
    missingBytes({ optimizer }) {
      const bytes = checkpointBytes(optimizer);
      return Math.max(0, bytes - (roomFor(place, bytes) ?? bytes));
    },
    async save(parts) {
      newest = await saveCheckpoint(place, parts, { write, newest });
      return newest;
    },
    async saveBest() {
      if (!writeBest) return null;
      const path = join(folder, 'adapter-best');
      await writeFolderAtomically(path, writeBest, { replace: true, fs });
      return path;
    },
    close: lock.release,
  };
}

/** Removes leftovers, restores the checkpoint that `resume` names, and sets later checkpoints aside. */
function restoreRun(place: Place, parts: Omit<RunParts, 'progress'>, resume: ResumeFrom): Began {
  const { folder, checkpoints, totalLimit, fs } = place;
  cleanOrphans(folder, { isAlone: true, fs });
  cleanOrphans(checkpoints, { isAlone: true, fs });
  const warnings: { code: WarningCode; message: string }[] = [];
  const path = chooseStart(place, resume, (message) => {
    warnings.push({ code: 'DAMAGED_CHECKPOINT', message });
  });
  const restored = path ? resumeState(path, parts) : { progress: freshProgress(), otherKernels: null };
  if (restored.otherKernels) warnings.push({ code: 'OTHER_KERNELS', message: restored.otherKernels });
  for (const checkpoint of listCheckpoints(checkpoints, fs))
    if (checkpoint.step > restored.progress.step) setCheckpointAside(checkpoint.path, 'superseded', fs);
  // needed if the run was killed between its last save and the removal of older checkpoints
  if (path) pruneCheckpoints(checkpoints, totalLimit, fs);
  return { progress: restored.progress, resumedFrom: path, warnings };
}

/** @returns the checkpoint to resume from; null for a run that begins */
function chooseStart(
  { checkpoints, fs }: Place,
  resume: ResumeFrom,
  warn: (message: string) => void,
): string | null {
  if (resume !== 'latest' && resume !== null) return resume;
  if (resume === null) {
    const { length } = listCheckpoints(checkpoints, fs);
    if (length === 0) return null;
    throw new QdyloraError('NOT_EMPTY', {
      where: 'output_dir',
      problem: `${checkpoints} already has ${length} checkpoints of another run`,
      nextStep: 'Go on with resume_from_checkpoint: latest, or choose another output_dir.',
    });
  }
  const { path, damaged } = findCheckpoint(checkpoints, fs);
  if (!path && damaged.length > 0) {
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem: `all ${damaged.length} checkpoints in ${checkpoints} are damaged: ${damaged[0].problem}`,
      nextStep: 'Restore one from a backup, or choose another output_dir.',
      details: { damaged },
    });
  }
  for (const { path: bad, problem } of damaged)
    warn(`skipped ${bad}, renamed to ${setCheckpointAside(bad, 'damaged', fs)}: ${problem}`);
  return path;
}

/**
 * Bytes that are free, or will be when older checkpoints are removed; null where the system does not tell.
 */
function roomFor({ folder, checkpoints, fs }: Place, checkpointSize: number): number | null {
  const free = freeBytes(folder, fs);
  if (free === null) return null;
  return free + Math.max(0, listCheckpoints(checkpoints, fs).length - 1) * checkpointSize;
}

/**
 * Writes a checkpoint. On a full disk it removes all older checkpoints but the newest and tries once more.
 */
async function saveCheckpoint(
  { folder, checkpoints, totalLimit, fs }: Place,
  parts: RunParts,
  { write, newest }: Pick<SaveOptions, 'write'> & { readonly newest: string | null },
): Promise<string> {
  const path = join(checkpoints, `step-${parts.progress.step}`);
  const save = (): Promise<void> => saveState(path, parts, { write, fs });
  try {
    await save().catch((error: unknown) => {
      if (!isFullDisk(error) || !pruneCheckpoints(checkpoints, 1, fs)) throw error;
      return save();
    });
  } catch (error) {
    if (!isFullDisk(error)) throw error;
    throw noRoom({
      folder,
      what: 'a checkpoint',
      neededBytes: checkpointBytes(parts.optimizer),
      freeBytes: freeBytes(folder, fs),
      checkpoint: newest,
      cause: (error as QdyloraError).cause,
    });
  }
  pruneCheckpoints(checkpoints, totalLimit, fs);
  return path;
}
