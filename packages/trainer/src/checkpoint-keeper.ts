import { join } from 'node:path';
import { cleanOrphans, writeFolderAtomically, type FileSystem } from '@qdylora/checkpoint';
import { assertArgument, QdyloraError } from '@qdylora/contract';
import { checkpointBytes, freeBytes, isFullDisk, noRoom } from './disk-room.ts';
import { lockFolder } from './lock-folder.ts';
import { findCheckpoint, resumeState } from './resume-state.ts';
import { freshProgress, type RunProgress } from './run-state.ts';
import {
  listCheckpoints,
  pruneCheckpoints,
  saveState,
  setCheckpointAside,
  type RunParts,
} from './save-state.ts';
import type { WarningCode } from './run/train-events.ts';

export interface SaveOptions {
  /** The run's folder: `checkpoints/step-<n>`, `adapter-best` and `lock.json` lie in it. */
  readonly folder: string;
  /**
   * Steps between two checkpoints; there is always one at the end. null: only there, and where a run ends
   * early.
   */
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
   * What a run writes beside checkpoints, in bytes: with one checkpoint there must be room for it before the
   * first step. 0 by default.
   */
  readonly otherBytes?: number;
  /**
   * For so long the last save waits where the disk is full, trying again; 0 by default. Nothing that was
   * learned is lost where somebody frees some space by then.
   */
  readonly waitForRoomSeconds?: number;
  /** Every call that writes, finds and removes checkpoints goes through it; Node's by default. */
  readonly fs?: FileSystem;
}

/**
 * `latest`: from the newest whole checkpoint, or from the beginning where there is none yet. A path: from
 * that checkpoint. null: a new run.
 */
export type ResumeFrom = 'latest' | (string & {}) | null;

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
   * @throws QdyloraError WRITE_FAILED where the disk has no room for a checkpoint and what else the run
   * writes.
   */
  assertRoom(parts: Pick<RunParts, 'optimizer'>): void;
  /** How many bytes the next checkpoint will lack, as the disk is now; 0 where it has room. */
  missingBytes(parts: Pick<RunParts, 'optimizer'>): number;
  /**
   * On a full disk all checkpoints but the newest go first: they would have gone after it.
   * @returns the checkpoint's path
   * @throws QdyloraError WRITE_FAILED; of a full disk it says how much is missing
   */
  save(parts: RunParts): Promise<string>;
  /** @returns the path, or null where nothing is to be written */
  saveBest(): Promise<string | null>;
  close(): void;
}

/** @throws QdyloraError BUSY_FOLDER where another run writes there. */
export function openKeeper({
  folder,
  totalLimit = 2,
  write,
  writeBest,
  otherBytes = 0,
  fs,
}: SaveOptions): CheckpointKeeper {
  assertArgument(
    Number.isSafeInteger(totalLimit) && totalLimit >= 1,
    'save_total_limit',
    `expected a whole number ≥ 1, got ${totalLimit}`,
  );
  const checkpoints = join(folder, 'checkpoints');
  const lock = lockFolder(folder);
  let newest: string | null = null;
  /** Bytes that are free, or will be when older checkpoints have gone; null where nobody knows. */
  const roomFor = (bytes: number): number | null => {
    const free = freeBytes(folder, fs);
    return free === null ? null : free + Math.max(0, listCheckpoints(checkpoints, fs).length - 1) * bytes;
  };
  return {
    get newest() {
      return newest;
    },
    begin(parts, resume) {
      cleanOrphans(folder, { isAlone: true, fs });
      cleanOrphans(checkpoints, { isAlone: true, fs });
      const warnings = lock.tookOver ? [{ code: 'STALE_LOCK' as WarningCode, message: lock.tookOver }] : [];
      const path = chooseStart({ checkpoints, resume, fs }, (message) =>
        warnings.push({ code: 'DAMAGED_CHECKPOINT', message }),
      );
      const { progress, otherKernels } = path
        ? resumeState(path, parts)
        : { progress: freshProgress(), otherKernels: null };
      if (otherKernels) warnings.push({ code: 'OTHER_KERNELS', message: otherKernels });
      for (const later of listCheckpoints(checkpoints, fs))
        if (later.step > progress.step) setCheckpointAside(later.path, 'superseded', fs);
      // a run that was killed between its last save and what that would have removed saves no more
      if (path) pruneCheckpoints(checkpoints, totalLimit, fs);
      newest = path;
      return { progress, resumedFrom: path, warnings };
    },
    assertRoom({ optimizer }) {
      const own = checkpointBytes(optimizer);
      const room = roomFor(own);
      if (room !== null && room < own + otherBytes)
        throw noRoom({
          folder,
          what: otherBytes > 0 ? 'a checkpoint and what else the run writes,' : 'a checkpoint',
          neededBytes: own + otherBytes,
          freeBytes: room,
          checkpoint: newest,
        });
    },
    missingBytes({ optimizer }) {
      const own = checkpointBytes(optimizer);
      return Math.max(0, own - (roomFor(own) ?? own));
    },
    async save(parts) {
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
      newest = path;
      pruneCheckpoints(checkpoints, totalLimit, fs);
      return path;
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

interface Start {
  readonly checkpoints: string;
  readonly resume: ResumeFrom;
  readonly fs: FileSystem | undefined;
}

function chooseStart({ checkpoints, resume, fs }: Start, warn: (message: string) => void): string | null {
  if (resume !== 'latest' && resume !== null) return resume;
  if (resume === null) {
    const { length } = listCheckpoints(checkpoints, fs);
    if (length === 0) return null;
    throw new QdyloraError('NOT_EMPTY', {
      where: 'output_dir',
      problem: `expected no checkpoints of another run in ${checkpoints}, got ${length}`,
      nextStep: 'Go on with resume_from_checkpoint: latest, or choose another output_dir.',
    });
  }
  const { path, damaged } = findCheckpoint(checkpoints, fs);
  if (!path && damaged.length > 0) {
    throw new QdyloraError('BAD_RESUME', {
      where: 'resume',
      problem:
        `expected a whole checkpoint in ${checkpoints}, got ${damaged.length} damaged: ` +
        `${damaged[0]!.problem}`,
      nextStep: 'Restore one from a backup, or choose another output_dir.',
      details: { damaged },
    });
  }
  for (const { path: bad, problem } of damaged)
    warn(`passed over ${bad}, now ${setCheckpointAside(bad, 'damaged', fs)}: ${problem}`);
  return path;
}
