import { attachDyLora, rankSampler, type Adapted, type RankSampler } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import {
  adamw,
  adapterRowRates,
  prefixPreconditioner,
  startFromActivations,
  startFromGradients,
  type Optimizer,
  type Preconditioner,
  type RowRates,
} from '@qdylora/trainer';
import type { Job } from './job.ts';
import type { Setting } from './setting.ts';

/** The adapter of a job at these ranks. */
export const attach = (
  model: CausalLm,
  { alpha, scaling, updateRule, seed }: Job,
  ranks: readonly number[],
): Adapted<CausalLm> => attachDyLora(model, { ranks, alpha, scaling, updateRule, seed });

/** @param rateRanks the ranks that the job's rates belong to */
export const optimizerOf = (
  adapted: Adapted<CausalLm>,
  { learningRate, bRatio, rankRates, wideRates, rowFactors }: Job,
  rateRanks = adapted.ranks.ranks,
): Optimizer => {
  const rates = adapterRowRates(adapted, { bRatio, rankRates, rateRanks, wideRates });
  const rowRates = rowFactors ? withFactors(rates, rateRanks, rowFactors) : rates;
  return adamw(adapted.parameters(), { learningRate, rowRates });
};

/** The same rates, with one more factor on the rows of A and B that each rank adds. */
const withFactors =
  (rates: RowRates, ranks: readonly number[], factors: readonly number[]): RowRates =>
  (parameter) => {
    const rowRates = rates(parameter);
    return ranks.map((until, i) => ({
      until,
      factor: factors[i] * rowRates.find((each) => until <= each.until)!.factor,
    }));
  };

export const preconditionerOf = (
  adapted: Adapted<CausalLm>,
  { preconditioner }: Job,
): Preconditioner | null => (preconditioner === 'prefix' ? prefixPreconditioner(adapted) : null);

export function samplerOf({ ranks }: Adapted<CausalLm>, job: Job): RankSampler | null {
  if (ranks.ranks.length === 1) return null;
  const { schedule, distribution, segments, seed, distillation: weight } = job;
  const { distillationTopK: topK, distillationStudent: student, rankLossWeights: lossWeights } = job;
  const distillation = weight > 0 ? { weight, topK, student } : null;
  return rankSampler(ranks, { schedule, distribution, segments, distillation, lossWeights, seed });
}

/** Steps whose rows a start reads: 64 rows. */
const START_STEPS = 8;

/** Starts A as the job's `init` says. */
export async function startAdapter(
  adapted: Adapted<CausalLm>,
  { job, model, batches }: Setting,
): Promise<void> {
  if (job.init === 'kaiming') return;
  const rows = Array.from({ length: START_STEPS }, (_, step) => batches.batchAt(step)).flat();
  const options = { seed: job.seed, computeDtype: 'bf16', rowNorm: job.initRowNorm ?? undefined } as const;
  if (job.init === 'gradient') await startFromGradients(adapted, rows, options);
  else await startFromActivations(model, adapted, rows, options);
}
