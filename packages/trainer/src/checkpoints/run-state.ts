import { QdyloraError } from '@qdylora/contract';
import type { StepCounts } from '../optimizers/optimizer.ts';
import type { EarlyStoppingState } from '../run/early-stopping.ts';
import type { LossAverage } from '../run/loss-average.ts';
import type { LossScale } from '../step/loss-scale.ts';
import type { SumOrder } from '../sharing/sum-order.ts';
import type { ComputedOn } from './computed-on.ts';
import type { RunProgress } from '../run/run-progress.ts';

/** Values of a run that a resumed one must share. */
export type RunIdentity = Readonly<Record<string, unknown>>;

/** Content of a checkpoint's `state.json`. */
export interface RunState {
  readonly progress: RunProgress;
  readonly counts: StepCounts;
  readonly identity: RunIdentity;
  /** null in checkpoints of versions that did not record it. */
  readonly computedOn: ComputedOn | null;
}

export const STATE_VERSION = 1;
const FORMAT = 'qdylora-training';

/** A run's state as JSON values. */
export function runStateJson({ progress, counts, identity, computedOn }: RunState): Record<string, unknown> {
  const { totalSteps, finalLoss, lossAverage, earlyStopping } = progress;
  return {
    format: FORMAT,
    version: STATE_VERSION,
    step: progress.step,
    epoch: progress.epoch,
    tokens: progress.tokens,
    ...(totalSteps !== null && { total_steps: totalSteps }),
    final_loss: Number.isFinite(finalLoss) ? finalLoss : null,
    ...(lossAverage && { loss_average: lossAverage }),
    skipped_steps: progress.skippedSteps,
    bad_in_a_row: progress.badInARow,
    evaluated_at: progress.evaluatedAt,
    ...(progress.sortedAt > 0 && { sorted_at: progress.sortedAt }),
    best: progress.best,
    // the score of `best`, unless a better adapter could not be written
    ...(progress.lowestScore !== (progress.best?.score ?? null) && { lowest_score: progress.lowestScore }),
    ...(progress.measured !== null && { measured: progress.measured }),
    ...(progress.plateaus > 0 && { plateaus: progress.plateaus }),
    ...(earlyStopping && { early_stopping: earlyStoppingJson(earlyStopping) }),
    ...(progress.lossScale && { loss_scale: lossScaleJson(progress.lossScale) }),
    events_offset: progress.events,
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

const lossScaleJson = ({ scale, goodSteps }: LossScale): Record<string, unknown> => ({
  scale,
  good_steps: goodSteps,
});

/**
 * Parses the state that `runStateJson` wrote. `path` names the checkpoint in errors.
 *
 * @throws QdyloraError BAD_RESUME that names the invalid field.
 */
export function parseRunState(path: string, json: unknown): RunState {
  const state = fieldsOf(path, 'the state', json);
  if (state.record.format !== FORMAT || state.record.version !== STATE_VERSION)
    throw badState(
      path,
      `the format must be ${FORMAT} ${STATE_VERSION}`,
      `${String(state.record.format)} ${String(state.record.version)}`,
    );
  return {
    progress: parseProgress(path, state),
    counts: parseCounts(path, state.record.optimizer_steps),
    identity: fieldsOf(path, '`config`', state.record.config).record,
    computedOn: parseComputedOn(path, state.record.computed_on),
  };
}

function parseProgress(path: string, state: Fields): RunProgress {
  const { record } = state;
  const best = record.best === null ? null : fieldsOf(path, '`best`', record.best);
  return {
    step: state.count('step'),
    epoch: state.count('epoch'),
    tokens: state.count('tokens'),
    totalSteps: isAbsent(record.total_steps) ? null : state.count('total_steps'),
    finalLoss: record.final_loss === null ? NaN : state.number('final_loss'),
    lossAverage: parseLossAverage(path, record.loss_average),
    skippedSteps: state.count('skipped_steps'),
    badInARow: state.count('bad_in_a_row'),
    evaluatedAt: state.count('evaluated_at'),
    sortedAt: isAbsent(record.sorted_at) ? 0 : state.count('sorted_at'),
    best: best && { step: best.count('step'), score: best.number('score') },
    lowestScore: isAbsent(record.lowest_score)
      ? (best?.number('score') ?? null)
      : state.number('lowest_score'),
    measured: parseMeasured(path, record.measured),
    plateaus: isAbsent(record.plateaus) ? 0 : state.count('plateaus'),
    earlyStopping: parseEarlyStopping(path, record.early_stopping),
    lossScale: parseLossScale(path, record.loss_scale),
    events: state.count('events_offset'),
  };
}

function parseCounts(path: string, json: unknown): StepCounts {
  const counts = fieldsOf(path, '`optimizer_steps`', json);
  const { rows } = counts.record;
  if (!Array.isArray(rows) || !rows.every(isCount))
    throw badState(path, '`optimizer_steps.rows` must be a list of whole numbers', rows);
  return { rows, rest: counts.count('rest') };
}

function parseLossAverage(path: string, json: unknown): LossAverage | null {
  if (isAbsent(json)) return null;
  const average = fieldsOf(path, '`loss_average`', json);
  return { value: average.number('value'), weight: average.number('weight') };
}

function parseLossScale(path: string, json: unknown): LossScale | null {
  if (isAbsent(json)) return null;
  const lossScale = fieldsOf(path, '`loss_scale`', json);
  const scale = lossScale.number('scale');
  if (!(scale > 0)) throw badState(path, '`loss_scale.scale` must be greater than 0', scale);
  return { scale, goodSteps: lossScale.count('good_steps') };
}

function parseEarlyStopping(path: string, json: unknown): EarlyStoppingState | null {
  if (isAbsent(json)) return null;
  const watch = fieldsOf(path, '`early_stopping`', json);
  const { on, best } = watch.record;
  if (on !== 'aurac' && !isCount(on)) throw badState(path, '`early_stopping.on` must be a rank or aurac', on);
  return {
    on,
    best: best === null ? NaN : watch.number('best'),
    bestStep: watch.count('best_step'),
    waited: watch.count('waited'),
  };
}

function parseMeasured(path: string, json: unknown): string | null {
  if (isAbsent(json)) return null;
  if (typeof json !== 'string') throw badState(path, '`measured` must be a string', json);
  return json;
}

function parseComputedOn(path: string, json: unknown): ComputedOn | null {
  if (isAbsent(json)) return null;
  const { backend, level, sums } = fieldsOf(path, '`computed_on`', json).record;
  if (typeof backend !== 'string' || (level !== null && typeof level !== 'string'))
    throw badState(path, '`computed_on` must have a backend and a level', json);
  return { backend, level, sums: parseSums(path, sums) };
}

function parseSums(path: string, json: unknown): SumOrder | null {
  if (isAbsent(json)) return null;
  const { method, workers } = fieldsOf(path, '`computed_on.sums`', json).record;
  if (typeof method !== 'string' || (workers !== null && !isCount(workers)))
    throw badState(path, '`computed_on.sums` must have a method and a number of workers', json);
  return { method, workers };
}

/** An object of the JSON, and typed access to its fields; each access throws BAD_RESUME. */
interface Fields {
  readonly record: Record<string, unknown>;
  /** A whole number of at least 0. */
  count(name: string): number;
  number(name: string): number;
}

function fieldsOf(path: string, name: string, value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw badState(path, `${name} must be an object`, value);
  const record = value as Record<string, unknown>;
  return {
    record,
    count(field) {
      const count = record[field];
      if (isCount(count)) return count;
      throw badState(path, `\`${field}\` must be a whole number of at least 0`, count);
    },
    number(field) {
      const number = record[field];
      if (typeof number === 'number') return number;
      throw badState(path, `\`${field}\` must be a number`, number);
    },
  };
}

export const isAbsent = (value: unknown): value is undefined | null => value === undefined || value === null;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const badState = (path: string, rule: string, value: unknown): QdyloraError => {
  const shown = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return new QdyloraError('BAD_RESUME', {
    where: 'resume',
    problem: `${path}: ${rule} (got ${shown})`,
    nextStep: 'Was it written by another version? Resume from another checkpoint.',
    details: { path },
  });
};
