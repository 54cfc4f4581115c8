import type { DryBackend } from '@qdylora/contract';
import type { TokenBatch } from '@qdylora/data';
import type { ComputeDtype } from '@qdylora/tensor';
import { passesOfStep } from '@qdylora/trainer';
import type { RunConfig } from '../../config/resolve-run.ts';
import type { AssembledRun } from './assemble-run.ts';
import { attentionNeed } from './attention-need.ts';
import { fullestStep } from './dry-run.ts';
import type { RunData } from './load-data.ts';

/** Steps that are looked through: some 20 µs each. Rows are shuffled, so a longer run has hardly a larger one. */
const MOST_STEPS = 4096;
/** Passes whose attention is asked about, those with most tokens first: some 50 µs each. Activations go with tokens, so one of fewer tokens has to need far more for its attention. */
const MOST_ASKED = 1024;

/** A pass through the model, and the step that it is a part of. */
interface Pass { readonly step: number; readonly tokens: number; readonly segments: Int32Array }
interface Candidate extends Pass { readonly attentionBytes: number }

/**
 * The steps of which no other one is known to need more: those with a pass that no other one is above in tokens, in segments, and in what attention needs for segments of its lengths (one
 * long segment is shared out among threads in chunks with sums of their own, many short ones are filled up to whole groups). Where rows stay in their files, the largest that the keys allow.
 *
 * @param backend a dry one, which is asked for the needs of attention; its books are used up
 */
export function largestSteps(config: RunConfig & { readonly computeDtype: ComputeDtype }, { run, data }: { readonly run: AssembledRun; readonly data: RunData }, backend: DryBackend): readonly (readonly TokenBatch[])[] {
  if (data.isStreamed) return [fullestStep(config)];
  const needOf = attentionNeed(backend, run.model.config.attention, config.computeDtype), passes = passesOf(run).sort((a, b) => b.tokens - a.tokens);
  let largest: Candidate[] = [];
  for (const pass of passes.slice(0, MOST_ASKED)) {
    const one: Candidate = { ...pass, attentionBytes: needOf(pass.segments) };
    if (!largest.some((other) => isWithin(one, other))) largest = [...largest.filter((other) => !isWithin(other, one)), one];
  }
  return [...new Set(largest.map(({ step }) => step))].sort((a, b) => a - b).map((step) => run.batches.batchAt(step));
}

/** Every pass of the steps, as the sampler cuts them. */
function passesOf({ batches, totalSteps, training: { model, sampler } }: AssembledRun): Pass[] {
  return Array.from({ length: Math.min(totalSteps, MOST_STEPS) }, (_, step) => passesOfStep(step, batches.batchAt(step), model, sampler).passes.map(({ batch: { ids, segments } }) => ({ step, tokens: ids.length, segments }))).flat();
}

const isWithin = (one: Candidate, other: Candidate): boolean => one.tokens <= other.tokens && one.segments.length <= other.segments.length && one.attentionBytes <= other.attentionBytes;
