import { join } from 'node:path';
import { cleanOrphans, type FileSystem } from '@qdylora/checkpoint';
import { assertArgument, QdyloraError } from '@qdylora/contract';
import { restoreBest, writeBestAdapter } from './best-adapter.ts';
import { listCheckpoints, pruneCheckpoints, setCheckpointAside } from './checkpoint-folders.ts';
import { checkpointBytes, freeBytes, isFullDisk, noRoom } from './disk-room.ts';
import { lockFolder } from './lock-folder.ts';
import { freshProgress, type RunProgress } from '../run/run-progress.ts';
import { findCheckpoint, resumeState } from './resume-state.ts';
import { saveState, type CheckpointContents } from './save-state.ts';
import type { RunWarning } from '../run/train-events.ts';

/** Advice for messages: how to resume from the newest checkpoint. */
export const RESUME_NEWEST = "resume_from_checkpoint auto (in a program: `resume: 'latest'`)";

/** Options of a run's checkpoints: where and how often they are written, and how many are kept. */
export interface SaveOptions {
  /** The run's folder. It contains `checkpoints/step-<n>`, `adapter-best` and `lock.json`. */
  readonly folder: string;
  /** Steps between two checkpoints; null, the default: only one, at the end or when the run ends early. */
  readonly every?: number | null;
  /** Number of checkpoints to keep, at least 1. Default: 2. */
  readonly totalLimit?: number;
  /**
   * JSON values that a resumed run must share. They are compared one by one, so that the error can name the
   * difference.
   */
  readonly config?: Readonly<Record<string, unknown>>;
  /**
   * Defaults for keys that are missing or null in `config`, in the checkpoint and in this run, so that a
   * checkpoint older than a key can be resumed. None by default.
   */
  readonly absentConfig?: Readonly<Record<string, unknown>>;
  /** Adds files to each checkpoint, for example the adapter. */
  readonly write?: (folder: string) => void | Promise<void>;
  /** Writes `adapter-best` after each evaluation that is the best so far. */
  readonly writeBest?: (folder: string) => void | Promise<void>;
  /** Bytes of the other files of the run; the disk must have room for them and one checkpoint. Default: 0. */
  readonly otherBytes?: number;
  /** Longest wait of the last save while the disk is full, in seconds. Default: 0. */
  readonly waitForRoomSeconds?: number;
  /** The file system calls that write, find and remove checkpoints. Default: Node's. */
  readonly fs?: FileSystem;
}

/**
 * - `latest`: resume from the newest whole checkpoint, or begin a new run if there is none;
 * - a path: resume from that checkpoint;
 * - null: begin a new run.
 */
export type ResumeFrom = 'latest' | (string & {}) | null;

/** The state from which a run starts. */
export interface RunStart {
  readonly progress: RunProgress;
  readonly resumedFrom: string | null;
  readonly warnings: readonly RunWarning[];
}

/** The one writer of a run's folder, from `begin` to `close`. */
export interface CheckpointKeeper {
  readonly newest: string | null;
  /**
   * Restores the run or begins a new one. @throws QdyloraError NOT_EMPTY for a new run over old checkpoints;
   * BAD_RESUME if none is usable.
   */
  begin(contents: Omit<CheckpointContents, 'progress'>, resume: ResumeFrom): RunStart;
  /**
   * Checks the free space. @throws QdyloraError WRITE_FAILED if the disk has no room for a checkpoint and the
   * run's other files.
   */
  assertRoom(contents: Pick<CheckpointContents, 'optimizer'>): void;
  /** Bytes that the disk currently lacks for the next checkpoint; 0 if it has room. */
  missingBytes(contents: Pick<CheckpointContents, 'optimizer'>): number;
  /**
   * Writes a checkpoint and removes those beyond `totalLimit`; on a full disk it removes those first.
   *
   * @returns the checkpoint's path
   * @throws QdyloraError WRITE_FAILED; for a full disk with the missing size.
   */
  save(contents: CheckpointContents): Promise<string>;
  /** Writes `adapter-best` of that evaluation. @returns its path, or null without `writeBest` */
  saveBest(best: NonNullable<RunProgress['best']>): Promise<string | null>;
  close(): void;
}

/** A folder of checkpoints. */
interface Place {
  readonly folder: string;
  /** `<folder>/checkpoints` */
  readonly checkpoints: string;
  readonly totalLimit: number;
  /** Whether the run writes `adapter-best`. */
  readonly isBestWritten: boolean;
  readonly fs: FileSystem | undefined;
}

/**
 * Locks a folder for the checkpoints of one run.
 *
 * @throws QdyloraError BUSY_FOLDER if another run writes there.
 */
export function openKeeper(options: SaveOptions): CheckpointKeeper {
  const { folder, totalLimit = 2, otherBytes = 0, write, writeBest, fs } = options;
  assertArgument(
    Number.isSafeInteger(totalLimit) && totalLimit >= 1,
    'save_total_limit',
    `\`save_total_limit\` must be a whole number of at least 1 (got ${totalLimit})`,
  );
  const checkpoints = join(folder, 'checkpoints');
  const place: Place = { folder, checkpoints, totalLimit, isBestWritten: writeBest !== undefined, fs };
  const lock = lockFolder(folder);
  let newest: string | null = null;
  return {
    get newest() {
      return newest;
    },
    begin(contents, resume) {
      const start = restoreRun(place, contents, resume);
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
    async save(contents) {
      newest = await saveCheckpoint(place, contents, { write, newest });
      return newest;
    },
    saveBest: async (best) => (writeBest ? writeBestAdapter(folder, best, { write: writeBest, fs }) : null),
    close: lock.release,
  };
}

/** Removes leftovers, restores the checkpoint that `resume` names, and sets later checkpoints aside. */
function restoreRun(
  place: Place,
  contents: Omit<CheckpointContents, 'progress'>,
  resume: ResumeFrom,
): RunStart {
  const { folder, checkpoints, totalLimit, isBestWritten, fs } = place;
  cleanOrphans(folder, { isAlone: true, fs });
  cleanOrphans(checkpoints, { isAlone: true, fs });
  const warnings: RunWarning[] = [];
  const path = chooseStart(place, resume, (message) => {
    warnings.push({ code: 'DAMAGED_CHECKPOINT', message });
  });
  const restored = path ? resumeState(path, contents) : { progress: freshProgress(), warnings: [] };
  warnings.push(...restored.warnings);
  for (const checkpoint of listCheckpoints(checkpoints, fs))
    if (checkpoint.step > restored.progress.step) setCheckpointAside(checkpoint.path, 'superseded', fs);
  if (path) {
    const { best, warning } = restoreBest(folder, restored.progress.best, { isWritten: isBestWritten, fs });
    restored.progress.best = best;
    if (warning) warnings.push({ code: 'SUPERSEDED_BEST', message: warning });
  }
  // needed if the run was killed between its last save and the removal of older checkpoints
  if (path) pruneCheckpoints(checkpoints, totalLimit, fs);
  return { progress: restored.progress, resumedFrom: path, warnings };
}

/** Chooses the checkpoint to resume from. @returns its path; null for a new run */
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
      problem: `${checkpoints} already has checkpoints of another run (${length})`,
      nextStep: `Resume it: ${RESUME_NEWEST}. Or choose another output_dir.`,
    });
  }
  const { path, damaged } = findCheckpoint(checkpoints, fs);
  if (!path && damaged.length > 0) {
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem: `All ${damaged.length} checkpoints in ${checkpoints} are damaged: ${damaged[0].problem}`,
      nextStep: 'Restore one from a backup, or choose another output_dir.',
      details: { damaged },
    });
  }
  for (const { path: bad, problem } of damaged)
    warn(`skipped ${bad}, renamed to ${setCheckpointAside(bad, 'damaged', fs)}: ${problem}`);
  return path;
}

/**
 * Free bytes, including those of older checkpoints that would be removed; null if the system does not report
 * them.
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
  contents: CheckpointContents,
  { write, newest }: Pick<SaveOptions, 'write'> & { readonly newest: string | null },
): Promise<string> {
  const path = join(checkpoints, `step-${contents.progress.step}`);
  const save = (): Promise<void> => saveState(path, contents, { write, fs });
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
      neededBytes: checkpointBytes(contents.optimizer),
      freeBytes: freeBytes(folder, fs),
      checkpoint: newest,
      cause: (error as QdyloraError).cause,
    });
  }
  pruneCheckpoints(checkpoints, totalLimit, fs);
  return path;
}
