import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors, type SafetensorsFile, type TensorEntry } from '@qdylora/checkpoint';
import { elementCount, QdyloraError, type DataOf, type Shape } from '@qdylora/contract';
import { stateNameOf } from '../optimizers/create-optimizer.ts';
import type { Optimizer, SavedArray, StateArray, StepCounts } from '../optimizers/optimizer.ts';
import { decodeState, mapOf } from '../optimizers/states/decode-state.ts';
import { absmaxOf } from '../optimizers/states/state-layout.ts';
import { checkpointProblem, savedArray } from './resume-state.ts';
import { parseRunState } from './run-state.ts';
import { OPTIMIZER_FILE, SAFETENSORS_NAMES, STATE_FILE } from './save-state.ts';

/**
 * Loads the optimizer state of another run's checkpoint into a prepared optimizer, by parameter name. If a
 * saved parameter has more rows (a run with a larger rank), the state of its first rows is used. Everything
 * is checked before anything changes.
 *
 * @throws QdyloraError BAD_RESUME for a folder that is not a whole checkpoint, and for the state of another
 * optimizer or of other parameters
 */
export function startOptimizer(optimizer: Optimizer, path: string): void {
  const damage = checkpointProblem(path);
  if (damage !== null)
    throw refusal(path, `it is not a whole checkpoint: ${damage}`, 'Name a folder of checkpoints/.');
  const { counts, identity } = parseRunState(path, JSON.parse(readFileSync(join(path, STATE_FILE), 'utf8')));
  const name = stateNameOf(optimizer.name);
  if (identity.optimizer !== name)
    throw refusal(path, `it has the state of ${String(identity.optimizer)}, not of ${name}`, OTHER_START);
  const file = openSafetensors(join(path, OPTIMIZER_FILE));
  try {
    const arrays = [...optimizer.state().arrays].map(([array, target]) => {
      const saved = firstRows(file, array, target);
      if (!saved)
        throw refusal(path, `it has no ${array} of [${target.shape.join(', ')}], or more rows`, OTHER_START);
      return [array, saved] as const;
    });
    optimizer.load({ counts: countsOf(optimizer, counts), arrays: new Map(arrays) });
  } finally {
    file.dispose();
  }
}

const OTHER_START = 'Train with the optimizer and the layers of that run, or start without its state.';

const refusal = (path: string, problem: string, nextStep: string): QdyloraError =>
  new QdyloraError('BAD_RESUME', {
    where: 'optimizer_state',
    problem: `The optimizer cannot start with the state in ${path}: ${problem}`,
    nextStep,
    details: { path },
  });

/** The counts of the rows that the parameters have. */
function countsOf({ parameters }: Optimizer, { rows, rest }: StepCounts): StepCounts {
  const mostRows = Math.max(...parameters.map(({ view }) => view.shape[0]));
  return { rows: rows.slice(0, mostRows), rest };
}

/** The first rows of a saved array, as many as the target has; null if it does not have such rows. */
function firstRows(file: SafetensorsFile, name: string, target: StateArray): SavedArray | null {
  const entry = file.tensors.get(name);
  if (!entry || !hasRowsOf(entry.shape, target.shape)) return null;
  const length = elementCount(target.shape);
  if (entry.dtype === SAFETENSORS_NAMES[target.dtype])
    return { dtype: target.dtype, length, read: () => savedArray(name, entry).read().subarray(0, length) };
  // A small parameter has float32 states even if the larger saved one, which contains its rows, has codes.
  const absmax = file.tensors.get(absmaxOf(name));
  if (target.dtype !== 'f32' || !absmax) return null;
  return { dtype: 'f32', length, read: () => decodedRows({ name, entry, absmax }).subarray(0, length) };
}

const hasRowsOf = ([rows, ...row]: Shape, [targetRows, ...targetRow]: Shape): boolean =>
  rows >= targetRows && row.join() === targetRow.join();

/** An array of codes and its scales in a checkpoint, `<parameter>.<kind>`. */
interface SavedCodes {
  readonly name: string;
  readonly entry: TensorEntry;
  readonly absmax: TensorEntry;
}

function decodedRows({ name, entry, absmax }: SavedCodes): Float32Array<ArrayBuffer> {
  const kind = name.slice(name.lastIndexOf('.') + 1);
  return decodeState(
    {
      codes: savedArray(name, entry).read() as DataOf['u8'],
      absmax: savedArray(absmaxOf(name), absmax).read() as DataOf['f32'],
      map: mapOf(kind),
    },
    entry.shape,
  );
}
