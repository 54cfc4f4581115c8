import { join } from 'node:path';
import { cleanOrphans, writeFolderAtomically, type FileSystem } from '@qdylora/checkpoint';
import { assertArgument, QdyloraError } from '@qdylora/contract';
import { lockFolder } from './lock-folder.ts';
import { findCheckpoint, resumeState } from './resume-state.ts';
import { freshProgress, type RunProgress } from './run-state.ts';
import { listCheckpoints, pruneCheckpoints, saveState, setCheckpointAside, type RunParts } from './save-state.ts';
import type { WarningCode } from './train-events.ts';

export interface SaveOptions {
  /** The run's folder: `checkpoints/step-<n>`, `adapter-best` and `lock.json` lie in it. */
  readonly folder: string;
  /** Steps between two checkpoints; there is always one at the end. null: only there, and on an abort. */
  readonly every?: number | null;
  /** How many checkpoints to keep; 2 by default, at least 1. */
  readonly totalLimit?: number;
  /** Values that a resumed run must share; compared one by one, so the error can say which differs. JSON only. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Adds files to each checkpoint, for example the adapter. */
  readonly write?: (folder: string) => void | Promise<void>;
  /** Fills `adapter-best` each time that an evaluation is the best so far. */
  readonly writeBest?: (folder: string) => void | Promise<void>;
  /** Every call that writes, finds and removes checkpoints goes through it; Node's by default. */
  readonly fs?: FileSystem;
}

/** `latest`: from the newest whole checkpoint, or from the beginning where there is none yet. A path: from that checkpoint. null: a new run. */
export type ResumeFrom = 'latest' | (string & {}) | null;

export interface Began { readonly progress: RunProgress; readonly resumedFrom: string | null; readonly warnings: readonly { code: WarningCode; message: string }[] }

/** The one writer of a run's folder, from `begin` to `close`. */
export interface CheckpointKeeper {
  readonly newest: string | null;
  /** @throws QdyloraError NOT_EMPTY for a new run over old checkpoints; BAD_RESUME where none can be used. */
  begin(parts: Omit<RunParts, 'progress'>, resume: ResumeFrom): Began;
  /** @returns the checkpoint's path */
  save(parts: RunParts): Promise<string>;
  /** @returns the path, or null where nothing is to be written */
  saveBest(): Promise<string | null>;
  close(): void;
}

/** @throws QdyloraError BUSY_FOLDER where another run writes there. */
export function openKeeper({ folder, totalLimit = 2, write, writeBest, fs }: SaveOptions): CheckpointKeeper {
  assertArgument(Number.isSafeInteger(totalLimit) && totalLimit >= 1, 'save_total_limit', `expected a whole number ≥ 1, got ${totalLimit}`);
  const checkpoints = join(folder, 'checkpoints'), lock = lockFolder(folder);
  let newest: string | null = null;
  return {
    get newest() { return newest; },
    begin(parts, resume) {
      cleanOrphans(folder, { isAlone: true, fs });
      cleanOrphans(checkpoints, { isAlone: true, fs });
      const warnings = lock.tookOver ? [{ code: 'STALE_LOCK' as WarningCode, message: lock.tookOver }] : [];
      const path = chooseStart({ checkpoints, resume, fs }, (message) => warnings.push({ code: 'DAMAGED_CHECKPOINT', message }));
      const progress = path ? resumeState(path, parts) : freshProgress();
      for (const later of listCheckpoints(checkpoints, fs)) if (later.step > progress.step) setCheckpointAside(later.path, 'superseded', fs);
      if (path) pruneCheckpoints(checkpoints, totalLimit, fs); // a run that was killed between its last save and what that would have removed saves no more
      newest = path;
      return { progress, resumedFrom: path, warnings };
    },
    async save(parts) {
      const path = join(checkpoints, `step-${parts.progress.step}`);
      await saveState(path, parts, { write, fs });
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

interface Start { readonly checkpoints: string; readonly resume: ResumeFrom; readonly fs: FileSystem | undefined }

function chooseStart({ checkpoints, resume, fs }: Start, warn: (message: string) => void): string | null {
  if (resume !== 'latest' && resume !== null) return resume;
  if (resume === null) {
    const { length } = listCheckpoints(checkpoints, fs);
    if (length === 0) return null;
    throw new QdyloraError('NOT_EMPTY', { where: 'output_dir', problem: `expected no checkpoints of another run in ${checkpoints}, got ${length}`, nextStep: 'Go on with resume_from_checkpoint: latest, or choose another output_dir.' });
  }
  const { path, damaged } = findCheckpoint(checkpoints, fs);
  if (!path && damaged.length > 0) {
    throw new QdyloraError('BAD_RESUME', { where: 'resume', problem: `expected a whole checkpoint in ${checkpoints}, got ${damaged.length} damaged: ${damaged[0]!.problem}`, nextStep: 'Restore one from a backup, or choose another output_dir.', details: { damaged } });
  }
  for (const { path: bad, problem } of damaged) warn(`passed over ${bad}, now ${setCheckpointAside(bad, 'damaged', fs)}: ${problem}`);
  return path;
}
