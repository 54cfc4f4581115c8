import { termsOfWorker, type Communicator, type TermRange } from '@qdylora/collectives';
import { elementCount, type ArrayView } from '@qdylora/contract';
import { NOT_COUNTED } from '@qdylora/data';
import type { Pass } from '../step/run-pass.ts';

/** The largest rank that each worker trains: [workers] */
export type WorkerRanks = readonly number[];

/**
 * Cuts the ranks of each pass to the largest rank of the worker that runs it (PreLort, arXiv 2606.15963): the
 * worker trains the first rows of the drawn rank.
 *
 * @param terms result of `termsOf(passes)`
 */
export function limitRanks(
  passes: readonly Pass[],
  terms: readonly TermRange[],
  maxRanks: WorkerRanks,
): Pass[] {
  const limited = [...passes];
  maxRanks.forEach((maxRank, worker) => {
    const { from, to } = termsOfWorker(terms.length, worker, maxRanks.length);
    for (const term of terms.slice(from, to))
      for (let i = term.from; i < term.to; i++) limited[i] = limitPass(passes[i], maxRank);
  });
  return limited;
}

/** Needs update rule `prefix`, with which a rank trains all of its rows. */
function limitPass(pass: Pass, maxRank: number): Pass {
  const { active } = pass.view;
  if (!active || active.rank <= maxRank) return pass;
  const parts = active.parts?.map((part) => ({ ...part, rank: Math.min(part.rank, maxRank) }));
  return { ...pass, view: { ...pass.view, active: { ...active, rank: maxRank, ...(parts && { parts }) } } };
}

/** Rows from the end of the previous entry up to `to`, of every adapter matrix, and their gradient factor. */
export interface RowFactor {
  readonly to: number;
  readonly factor: number;
}

interface LimitedStep {
  readonly drawn: readonly Pass[];
  readonly limited: readonly Pass[];
  /** The passes that this worker runs. */
  readonly range: TermRange;
}

/**
 * The factors that make the gradient of each row a mean over the tokens of the workers that trained it:
 * tokens whose drawn rank has the row / tokens whose limited rank has it. 1 if no worker left it out.
 *
 * A worker counts the tokens of its own passes, since it has not read the rows of others.
 */
export async function rowFactors(
  workers: Pick<Communicator, 'allReduce'>,
  { drawn, limited, range }: LimitedStep,
): Promise<RowFactor[]> {
  const ends = [...new Set([...drawn, ...limited].flatMap(ranksOf))].sort((a, b) => a - b);
  const counts = new Float64Array(2 * ends.length);
  [drawn, limited].forEach((passes, i) => {
    for (const pass of passes.slice(range.from, range.to))
      for (const { rank, tokens } of tokensByRank(pass))
        ends.forEach((end, k) => {
          if (rank >= end) counts[i * ends.length + k] += tokens;
        });
  });
  await workers.allReduce(counts);
  return ends.map((to, k) => {
    const trained = counts[ends.length + k];
    return { to, factor: trained > 0 ? counts[k] / trained : 0 };
  });
}

const ranksOf = ({ view: { active } }: Pass): number[] =>
  active ? (active.parts ?? [active]).map(({ rank }) => rank) : [];

/** Counted tokens of a pass at each rank, times their weight. */
function tokensByRank({ view: { active }, batch, weight = 1 }: Pass): { rank: number; tokens: number }[] {
  if (!active) return [];
  if (!active.parts) return [{ rank: active.rank, tokens: weight * batch.predictedTokens }];
  let from = 0;
  return active.parts.map(({ until, rank, weight: partWeight = 1 }) => {
    const counted = batch.targets.subarray(from, until).filter((target) => target !== NOT_COUNTED);
    from = until;
    return { rank, tokens: weight * partWeight * counted.length };
  });
}

/** Multiplies gradients by the factors of their rows. `values`: the elements of the views, concatenated. */
export function scaleRows(
  values: Float32Array,
  views: readonly ArrayView<'f32'>[],
  factors: readonly RowFactor[],
): void {
  let start = 0;
  for (const { shape } of views) {
    const columns = elementCount(shape.slice(1));
    let from = 0;
    for (const { to, factor } of factors) {
      const end = Math.min(to, shape[0]);
      if (factor !== 1)
        for (let i = start + from * columns; i < start + end * columns; i++) values[i] *= factor;
      from = end;
    }
    start += elementCount(shape);
  }
}
