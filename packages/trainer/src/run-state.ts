import { canonicalJson } from '@qdylora/checkpoint';
import { QdyloraError } from '@qdylora/contract';
import type { EarlyStoppingState } from './run/early-stopping.ts';
import type { StepCounts } from './optimizers/optimizer.ts';

/**
 * Where a run stands, besides weights and optimizer arrays. Everything random derives from (seed, step), so
 * nothing else is needed to go on.
 */
export interface RunProgress {
  /** Optimizer steps done, skipped ones included: the place in the data. */
  step: number;
  epoch: number;
  /** Tokens that went through the model. */
  tokens: number;
  finalLoss: number;
  skippedSteps: number;
  /** Skipped steps since the last good one. */
  badInARow: number;
  /** Step of the last evaluation. */
  evaluatedAt: number;
  best: { step: number; score: number } | null;
  /** null where nothing is watched. */
  earlyStopping: EarlyStoppingState | null;
  /** Events emitted so far. */
  events: number;
}

export const freshProgress = (): RunProgress => ({
  step: 0,
  epoch: 0,
  tokens: 0,
  finalLoss: NaN,
  skippedSteps: 0,
  badInARow: 0,
  evaluatedAt: 0,
  best: null,
  earlyStopping: null,
  events: 0,
});

/** Values of the run that a resumed one must share. */
export type RunIdentity = Readonly<Record<string, unknown>>;

/** The kernels that computed the last steps: on others the same run has other roundings. */
export interface ComputedOn {
  readonly backend: string;
  readonly level: string | null;
}

/** Content of a checkpoint's `state.json`. `computedOn`: null in one of before it was there. */
export interface RunState {
  readonly progress: RunProgress;
  readonly counts: StepCounts;
  readonly identity: RunIdentity;
  readonly computedOn: ComputedOn | null;
}

export const STATE_VERSION = 1;
const FORMAT = 'qdylora-training';

/** A run's state as JSON values. */
export function runStateJson({ progress, counts, identity, computedOn }: RunState): Record<string, unknown> {
  const { finalLoss, skippedSteps, badInARow, evaluatedAt, earlyStopping, events, ...rest } = progress;
  return {
    format: FORMAT,
    version: STATE_VERSION,
    ...rest,
    final_loss: Number.isFinite(finalLoss) ? finalLoss : null,
    skipped_steps: skippedSteps,
    bad_in_a_row: badInARow,
    evaluated_at: evaluatedAt,
    ...(earlyStopping && { early_stopping: earlyStoppingJson(earlyStopping) }),
    events_offset: events,
    optimizer_steps: { rows: counts.rows, rest: counts.rest },
    ...(computedOn && { computed_on: computedOn }),
    config: identity,
  };
}

const earlyStoppingJson = ({ on, best, bestStep, waited }: EarlyStoppingState): Record<string, unknown> => ({
  on,
  best: Number.isFinite(best) ? best : null,
  best_step: bestStep,
  waited,
});

/** Reads it back.  @throws QdyloraError BAD_RESUME naming the field that does not fit. */
export function parseRunState(path: string, json: unknown): RunState {
  const record = objectOf(path, 'the state', json);
  if (record.format !== FORMAT || record.version !== STATE_VERSION)
    throw unfit(
      path,
      'format and version',
      `${FORMAT} ${STATE_VERSION}`,
      `${String(record.format)} ${String(record.version)}`,
    );
  const count = (name: string, value = record[name]): number => {
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
    throw unfit(path, name, 'a whole number ≥ 0', value);
  };
  const number = (name: string, value: unknown): number => {
    if (typeof value === 'number') return value;
    throw unfit(path, name, 'a number', value);
  };
  const steps = objectOf(path, 'optimizer_steps', record.optimizer_steps);
  const best = record.best === null ? null : objectOf(path, 'best', record.best);
  if (!Array.isArray(steps.rows)) throw unfit(path, 'optimizer_steps.rows', 'a list', steps.rows);
  return {
    progress: {
      step: count('step'),
      epoch: count('epoch'),
      tokens: count('tokens'),
      skippedSteps: count('skipped_steps'),
      badInARow: count('bad_in_a_row'),
      evaluatedAt: count('evaluated_at'),
      events: count('events_offset'),
      earlyStopping: parseEarlyStopping(path, record.early_stopping),
      finalLoss: record.final_loss === null ? NaN : number('final_loss', record.final_loss),
      best: best && { step: count('best.step', best.step), score: number('best.score', best.score) },
    },
    counts: {
      rows: steps.rows.map((value: unknown) => count('optimizer_steps.rows', value)),
      rest: count('optimizer_steps.rest', steps.rest),
    },
    identity: objectOf(path, 'config', record.config),
    computedOn: parseComputedOn(path, record.computed_on),
  };
}

/** Nothing in a state of before early stopping was there. */
function parseEarlyStopping(path: string, json: unknown): EarlyStoppingState | null {
  if (json === undefined || json === null) return null;
  const { on, best, best_step: bestStep, waited } = objectOf(path, 'early_stopping', json);
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  if (
    (on !== 'aurac' && !isCount(on)) ||
    (best !== null && typeof best !== 'number') ||
    !isCount(bestStep) ||
    !isCount(waited)
  )
    throw unfit(path, 'early_stopping', 'on, best, best_step and waited', json);
  return { on, best: best ?? NaN, bestStep, waited };
}

function parseComputedOn(path: string, json: unknown): ComputedOn | null {
  if (json === undefined || json === null) return null;
  const { backend, level } = objectOf(path, 'computed_on', json);
  if (typeof backend !== 'string' || (level !== null && typeof level !== 'string'))
    throw unfit(path, 'computed_on', 'backend and level', json);
  return { backend, level };
}

/**
 * The warning of a run that goes on with kernels of other roundings; null where they are the same, or where
 * the checkpoint does not say.
 */
export function otherKernels(saved: ComputedOn | null, own: ComputedOn): string | null {
  if (!saved || (saved.backend === own.backend && saved.level === own.level)) return null;
  const text = ({ backend, level }: ComputedOn): string => (level === null ? backend : `${backend} ${level}`);
  return (
    `The steps so far were computed by the kernels of ${text(saved)}, and ${text(own)} goes on: the ` +
    `run is as good, but it rounds otherwise, so its bits will not be those of an uninterrupted one. For ` +
    `those, go on with ${text(saved)}.`
  );
}

/**
 * Throws BAD_RESUME, listing every value that differs from the first run's. null is the same as none, so that
 * a key that a later version adds does not end a run of before; nor does a hash (`…_hash`) that only one of
 * them has.
 */
export function assertSameRun(path: string, saved: RunIdentity, own: RunIdentity): void {
  const isNothing = (value: unknown): boolean => value === undefined || value === null;
  const text = (value: unknown): string => (isNothing(value) ? 'nothing' : canonicalJson(value));
  const shown = (value: unknown): string =>
    isNothing(value)
      ? 'nothing'
      : JSON.stringify(value).replace(/(?<=^"[0-9a-f]{12})[0-9a-f]{20,}(?="$)/, '…'); // in one line
  const different = [...new Set([...Object.keys(saved), ...Object.keys(own)])]
    .sort()
    .filter(
      (name) =>
        text(saved[name]) !== text(own[name]) &&
        !(name.endsWith('_hash') && (isNothing(saved[name]) || isNothing(own[name]))),
    );
  if (different.length === 0) return;
  throw new QdyloraError('BAD_RESUME', {
    where: 'resume',
    problem:
      `expected the values of the first run (${path}), got ` +
      `${different.map((name) => `${name} ${shown(own[name])} instead of ${shown(saved[name])}`).join(', ')}`,
    nextStep:
      'Set them back, or start a new run in another output_dir: from the adapter of this one, to train it ' +
      'further.',
    details: { different },
  });
}

function objectOf(path: string, name: string, value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw unfit(path, name, 'an object', value);
}

const unfit = (path: string, name: string, expected: string, got: unknown): QdyloraError =>
  new QdyloraError('BAD_RESUME', {
    where: 'resume',
    problem:
      `${path}: expected ${expected} for ${name}, got ` +
      `${typeof got === 'string' ? got : (JSON.stringify(got) ?? 'nothing')}`,
    nextStep: 'Was it written by another version? Resume from another checkpoint.',
    details: { path, name },
  });
