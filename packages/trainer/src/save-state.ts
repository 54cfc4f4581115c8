import { readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson, NODE_FILE_SYSTEM, writeFileDurably, writeFolderAtomically, writeSafetensors, type FileSystem, type TensorToWrite } from '@qdylora/checkpoint';
import { QdyloraError, type Backend, type DataOf, type DType } from '@qdylora/contract';
import type { Optimizer, StateArray } from './optimizers/optimizer.ts';
import { stateArrayOf } from './optimizers/parameter-states.ts';
import { runStateJson, type RunIdentity, type RunProgress } from './run-state.ts';

/** Files of one checkpoint folder, `checkpoints/step-<n>`. */
export const STATE_FILE = 'state.json', PARAMETERS_FILE = 'parameters.safetensors', OPTIMIZER_FILE = 'optimizer.safetensors';

/** What a checkpoint is made of. */
export interface RunParts { readonly backend: Backend; readonly optimizer: Optimizer; readonly progress: RunProgress; readonly identity: RunIdentity }

export interface SaveStateOptions {
  /** Adds files of one's own (an adapter) to the folder before it is sealed. */
  readonly write?: (folder: string) => void | Promise<void>;
  readonly fs?: FileSystem;
}

/** Element types of a state as safetensors names them. */
export const SAFETENSORS_NAMES: Readonly<Record<DType, string>> = { f32: 'F32', bf16: 'BF16', i32: 'I32', u8: 'U8' };

/**
 * Writes everything that a run needs to go on as if nothing had happened, all or nothing.
 *
 * @throws QdyloraError NON_FINITE for weights that are no numbers, so that a good checkpoint is never followed by a useless one; WRITE_FAILED where the disk refuses.
 */
export async function saveState(path: string, { backend, optimizer, progress, identity }: RunParts, { write, fs = NODE_FILE_SYSTEM }: SaveStateOptions = {}): Promise<void> {
  const { counts, arrays } = optimizer.state();
  const { isHost } = backend.memory, parameters = await tensorsOf(isHost, new Map(optimizer.parameters.map(({ name, view }) => [name, stateArrayOf(backend, view)])), assertFinite), states = await tensorsOf(isHost, arrays);
  const text = canonicalJson(runStateJson({ progress, counts, identity }));
  await writeFolderAtomically(path, async (folder) => {
    writeSafetensors(join(folder, PARAMETERS_FILE), parameters, { fs });
    writeSafetensors(join(folder, OPTIMIZER_FILE), states, { fs });
    writeFileDurably(join(folder, STATE_FILE), [new TextEncoder().encode(text)], fs);
    await write?.(folder);
  }, { replace: true, fs });
}

/** Host memory is written from where it lies, pages are gathered one array at a time as they are written; other memory is read out first. */
async function tensorsOf(isHost: boolean, arrays: ReadonlyMap<string, StateArray>, check?: (name: string, values: DataOf[DType]) => void): Promise<TensorToWrite[]> {
  const tensors: TensorToWrite[] = [];
  for (const [name, array] of arrays) {
    const values = isHost ? null : await array.read();
    check?.(name, values ?? array.peek()!);
    tensors.push({ name, dtype: SAFETENSORS_NAMES[array.dtype], shape: array.shape, bytes: () => bytesOf(values ?? array.peek()!) });
  }
  return tensors;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: DataOf[DType]): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength);

function assertFinite(name: string, values: DataOf[DType]): void {
  const bad = (values as Float32Array).findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new QdyloraError('NON_FINITE', { where: 'save', problem: `expected numbers in ${name}, got ${values[bad]} at ${bad}`, nextStep: 'Resume from the last checkpoint with a smaller learning rate.', details: { name, index: bad } });
}

/** The checkpoints of a run, newest first. */
export function listCheckpoints(folder: string): { step: number; path: string }[] {
  let names: string[] = [];
  try { names = readdirSync(folder); } catch { /* no checkpoint yet */ }
  const found = names.flatMap((name) => { const [, step] = /^step-(\d+)$/.exec(name) ?? []; return step ? [{ step: Number(step), path: join(folder, name) }] : []; });
  return found.sort((a, b) => b.step - a.step);
}

/** Removes all but the newest `keep` checkpoints. Called after a new one is whole and durable, so a good one is always left. */
export function pruneCheckpoints(folder: string, keep: number): void {
  for (const { path } of listCheckpoints(folder).slice(Math.max(1, keep))) {
    try { rmSync(path, { recursive: true, force: true }); } catch { /* one checkpoint too many does no harm; the next save tries again */ }
  }
}

/** Renames a checkpoint out of the run's way: `step-20.damaged`. Nothing of it is deleted, except an older one set aside under the same name. */
export function setCheckpointAside(path: string, why: 'damaged' | 'superseded'): string {
  const aside = `${path}.${why}`;
  rmSync(aside, { recursive: true, force: true });
  renameSync(path, aside);
  return aside;
}
