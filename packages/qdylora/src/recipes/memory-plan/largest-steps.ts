import type { DryBackend } from '@qdylora/contract';
import { collate, countPredicted, type Example } from '@qdylora/data';
import { groupByTokenBudget } from '@qdylora/eval';
import type { ComputeDtype } from '@qdylora/tensor';
import { passesOfStep } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { AssembledRun } from '../run/assemble-run.ts';
import { attentionNeed, type AttentionNeed } from './attention-need.ts';
import { fullestSteps, type PlannedStep } from './dry-run.ts';
import { JUDGED_TOKENS } from '../run/judging/judged-tokens.ts';
import type { RunData } from '../run/load-data.ts';

/**
 * Number of steps to inspect, at about 20 µs each. Rows are shuffled, so a longer run hardly has a larger
 * step.
 */
const MOST_STEPS = 4096;
/**
 * Number of passes whose attention is measured, those with most tokens first, at about 50 µs each.
 * Activations grow with tokens, so a pass of fewer tokens would need far more for its attention.
 */
const MOST_MEASURED_PASSES = 1024;

/** What decides how much a pass through the model needs. */
interface PassSize {
  readonly tokens: number;
  readonly segments: Int32Array;
  /** Whether it keeps its predictions for another pass, or learns from those of one. */
  readonly isDistilled?: boolean;
}
interface Candidate<P> {
  readonly pass: P;
  readonly attentionBytes: number;
}

/** A run whose steps and held-out rows are inspected. */
interface InspectedRun {
  readonly run: AssembledRun;
  readonly data: RunData;
}
type Config = RunConfig & { readonly computeDtype: ComputeDtype };

/**
 * Candidates for the largest step: those with a pass that no other pass dominates in tokens, segments,
 * attention memory and kept predictions. (One long segment is divided among threads in chunks with sums of
 * their own; many short segments are padded to whole groups.) Where rows stay in their files: the largest
 * step that the keys allow.
 *
 * @param backend a dry backend, used up by the measurements of attention
 */
export function largestSteps(
  config: Config,
  { run, data }: InspectedRun,
  backend: DryBackend,
): readonly PlannedStep[] {
  if (data.isStreamed) return fullestSteps(config);
  const largest = largestPasses(
    passesOf(run),
    attentionNeed(backend, run.model.config.attention, config.computeDtype),
  );
  return [...new Set(largest.map(({ step }) => step))]
    .sort((a, b) => a - b)
    .map((step) => ({ batches: run.batches.batchAt(step), isWide: isWide(run, step), runStep: step }));
}

/** Candidates for the largest evaluation pass, by the same rule as `largestSteps`. */
export function largestJudged(
  { computeDtype }: Config,
  { run, data: { heldOut } }: InspectedRun,
  backend: DryBackend,
): readonly (readonly Example[])[] {
  const judged = heldOut.filter(({ labels }) => countPredicted(labels) > 0);
  const groups = groupByTokenBudget(
    judged.map(({ ids }) => ids.length),
    JUDGED_TOKENS,
  ).map((group) => group.map((i) => judged[i]));
  const passes = groups.map((examples) => {
    const { ids, segments } = collate(examples);
    return { examples, tokens: ids.length, segments };
  });
  return largestPasses(passes, attentionNeed(backend, run.model.config.attention, computeDtype)).map(
    ({ examples }) => examples,
  );
}

function largestPasses<P extends PassSize>(passes: readonly P[], needOf: AttentionNeed): P[] {
  let largest: Candidate<P>[] = [];
  for (const pass of [...passes].sort((a, b) => b.tokens - a.tokens).slice(0, MOST_MEASURED_PASSES)) {
    const one = { pass, attentionBytes: needOf(pass.segments) };
    if (!largest.some((other) => isWithin(one, other)))
      largest = [...largest.filter((other) => !isWithin(other, one)), one];
  }
  return largest.map(({ pass }) => pass);
}

/** Every pass of the steps, as the sampler cuts them. */
function passesOf({ batches, totalSteps, training }: AssembledRun): (PassSize & { readonly step: number })[] {
  return Array.from({ length: Math.min(totalSteps, MOST_STEPS) }, (_, step) => {
    const plan = { isWide: isWide({ training }, step) };
    const { passes } = passesOfStep(step, batches.batchAt(step), training, plan);
    return passes.map(({ batch: { ids, segments }, distillation }) => ({
      step,
      tokens: ids.length,
      segments,
      isDistilled: distillation !== undefined,
    }));
  }).flat();
}

const isWide = ({ training: { wideSteps = 0 } }: Pick<AssembledRun, 'training'>, step: number): boolean =>
  step < wideSteps;

const isWithin = (one: Candidate<PassSize>, other: Candidate<PassSize>): boolean =>
  (!one.pass.isDistilled || other.pass.isDistilled === true) &&
  one.pass.tokens <= other.pass.tokens &&
  one.pass.segments.length <= other.pass.segments.length &&
  one.attentionBytes <= other.attentionBytes;
