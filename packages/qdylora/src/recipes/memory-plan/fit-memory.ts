import { QdyloraError, snakeCase } from '@qdylora/contract';
import { powersOfTwoUpTo } from '@qdylora/lora-dynamic';
import type { RunConfig } from '../../config/resolve-run.ts';
import { assertEvaluationFits } from '../../config/values/check-evaluation.ts';
import { needsOfRuns, type NeedsOfRuns } from './needs-of-runs.ts';

/** Values of keys with which a run fits, and the memory that it then needs. */
export interface Fit {
  readonly values: Readonly<Record<string, unknown>>;
  readonly totalBytes: number;
}

/** What a change may ask about the memory of its run. */
interface Room {
  /** Bytes left for optimizer states; exact only where they are at least `least`. */
  forStates(least: number): Promise<number>;
  /** Whether the backend has memory beside its own, for `activation_offload`. */
  readonly canOffload: boolean;
}

/** Other values for some keys; null where they change nothing. */
type Change = (
  config: RunConfig,
  room: Room,
) => Partial<RunConfig> | null | Promise<Partial<RunConfig> | null>;

const MEBIBYTE = 2 ** 20;
/** Smallest proposed budget: pages of 1 MiB; a slot takes at most an eighth of it. */
const LEAST_BUDGET = 64 * MEBIBYTE;
/** Allowance for the slots of pages and for gaps beside the budget. */
const BUDGET_ROUNDING = 16 * MEBIBYTE;

const half = (value: number): number => Math.floor(value / 2);

/** From the cheapest to the most expensive. The first ones change no number of the run. */
const CHANGES: readonly Change[] = [
  ({ gradientCheckpointing }) => (gradientCheckpointing === true ? null : { gradientCheckpointing: true }),
  ({ activationOffload }, { canOffload }) =>
    activationOffload || !canOffload ? null : { gradientCheckpointing: true, activationOffload: true },
  ({ microBatchSize, gradientAccumulationSteps: steps }) => {
    const parts = smallestFactor(microBatchSize);
    if (parts === 1) return null;
    return { microBatchSize: microBatchSize / parts, gradientAccumulationSteps: parts * steps };
  },
  async ({ optimizer }, { forStates }) => {
    if (optimizer !== 'adamw_32bit' && optimizer !== 'adamw_8bit') return null;
    const room = await forStates(LEAST_BUDGET + BUDGET_ROUNDING);
    return {
      optimizer: `paged_${optimizer}`,
      optimizerMemoryBudget: Math.max(
        LEAST_BUDGET,
        Math.floor((room - BUDGET_ROUNDING) / MEBIBYTE) * MEBIBYTE,
      ),
    };
  },
  ({ quantization, doubleQuantization }) =>
    quantization === 'none' || doubleQuantization ? null : { doubleQuantization: true },
  ({ quantization, method }) =>
    quantization !== 'none' || method === 'none'
      ? null
      : { quantization: 'nf4', method: method === 'lora' ? 'qlora' : 'qdylora' },
  ({ maxSeqLength }) => (maxSeqLength < 128 ? null : { maxSeqLength: half(maxSeqLength) }),
  smallerRanks,
];

/** The smallest divisor from 2 on; 1 of 1. */
function smallestFactor(n: number): number {
  for (let factor = 2; factor <= n; factor++) if (n % factor === 0) return factor;
  return 1;
}

const isDefaultRanks = (ranks: readonly number[], loraR: number): boolean =>
  ranks.join() === powersOfTwoUpTo(loraR).ranks.join();

/**
 * Half of the largest rank where no other rank is named; else the named ones without the largest. Null where
 * a run with these would be refused.
 */
function smallerRanks(config: RunConfig): Partial<RunConfig> | null {
  const { loraR, ranks, rankDistribution, rankLossWeights, rankRates, maxRankByWorker } = config;
  const isListedByRank = [rankDistribution, rankLossWeights, rankRates, maxRankByWorker].some(Array.isArray);
  if (!ranks || loraR < 2 || isListedByRank) return null;
  const fewer = isDefaultRanks(ranks, loraR)
    ? [...powersOfTwoUpTo(half(loraR))]
    : ranks.length === 1
      ? [half(loraR)]
      : ranks.slice(0, -1);
  return canEvaluate(config, fewer) ? { loraR: fewer.at(-1)!, ranks: fewer } : null;
}

/** Whether the ranks and budgets that a run evaluates, and the rank that ends it, fit these ranks. */
function canEvaluate(config: RunConfig, ranks: readonly number[]): boolean {
  try {
    assertEvaluationFits(config, ranks, new Map());
    return true;
  } catch (error) {
    if (QdyloraError.isInstance(error)) return false;
    throw error;
  }
}

/**
 * The mildest changes with which a run fits into `memoryBytes`. Changes are added in their order until the
 * run fits; then those that are not needed are dropped. Null where no change helps.
 */
export async function fitMemory(
  config: RunConfig,
  memoryBytes: number,
  needs: NeedsOfRuns,
): Promise<Fit | null> {
  let current = config;
  let fits = await needs.fits(current, memoryBytes);
  const taken: Partial<RunConfig>[] = [];
  for (const change of CHANGES) {
    if (fits) break;
    const before = current;
    const more = await moreAndMore(change, before, {
      forStates: (least) => needs.roomForStates(before, memoryBytes, least),
      canOffload: needs.canOffload,
    });
    const most = more.at(-1);
    if (!most || !(await needs.isLess(most.config, before))) continue;
    fits = await needs.fits(most.config, memoryBytes);
    const used = fits ? more.slice(0, 1 + (await firstThatFits(more, memoryBytes, needs))) : more;
    current = used.at(-1)!.config;
    taken.push(...used.map(({ values }) => values));
  }
  if (!fits) return null;
  const fit = await withoutIdle(config, taken, memoryBytes, needs);
  if (fit.totalBytes <= memoryBytes) return fit;
  // rough numbers were too low: do without them
  return fitMemory(config, memoryBytes, needsOfRuns({ ...needs, rough: () => Promise.resolve(null) }));
}

/** A run after a change. */
interface Changed {
  readonly values: Partial<RunConfig>;
  readonly config: RunConfig;
}

/** Applies a change as often as it has an effect. */
async function moreAndMore(change: Change, from: RunConfig, room: Room): Promise<Changed[]> {
  const more: Changed[] = [];
  for (let config = from; ;) {
    const values = await change(config, room);
    if (!values) return more;
    config = { ...config, ...values };
    more.push({ values, config });
  }
}

/** Index of the first run that fits. Runs get smaller, and the last one fits. */
async function firstThatFits(
  runs: readonly Changed[],
  memoryBytes: number,
  needs: NeedsOfRuns,
): Promise<number> {
  let [fits, tooMuch] = [runs.length - 1, -1];
  while (fits - tooMuch > 1) {
    const middle = Math.floor((fits + tooMuch) / 2);
    if (await needs.fits(runs[middle].config, memoryBytes)) fits = middle;
    else tooMuch = middle;
  }
  return fits;
}

/**
 * Drops each change without which the run fits too, the hardest first, and adds the spare memory to a page
 * budget.
 */
async function withoutIdle(
  config: RunConfig,
  taken: readonly Partial<RunConfig>[],
  memoryBytes: number,
  needs: NeedsOfRuns,
): Promise<Fit> {
  let changes = taken;
  for (const one of taken.slice(0, -1).reverse()) {
    const others = changes.filter((other) => other !== one);
    if (await needs.fits(changed(config, others), memoryBytes)) changes = others;
  }
  const { values, totalBytes } = await raisedBudget(
    Object.assign({}, ...changes) as Partial<RunConfig>,
    memoryBytes,
    async (values) => (await needs.exact(changed(config, [values]))).totalBytes,
  );
  return {
    values: Object.fromEntries(
      Object.entries(values)
        .filter(([key]) => key !== 'method')
        .map(([key, value]) => [snakeCase(key), value]),
    ),
    totalBytes,
  };
}

/** Raises the page budget by the spare memory, where it grows by a quarter at least. */
async function raisedBudget(
  values: Partial<RunConfig>,
  memoryBytes: number,
  need: (values: Partial<RunConfig>) => Promise<number>,
): Promise<{ readonly values: Partial<RunConfig>; readonly totalBytes: number }> {
  const totalBytes = await need(values);
  const { optimizerMemoryBudget: budget } = values;
  const spare = memoryBytes - totalBytes - BUDGET_ROUNDING;
  if (!budget || spare < budget / 4) return { values, totalBytes };
  const raised = { ...values, optimizerMemoryBudget: budget + Math.floor(spare / MEBIBYTE) * MEBIBYTE };
  const then = await need(raised);
  return then <= memoryBytes ? { values: raised, totalBytes: then } : { values, totalBytes };
}

const changed = (config: RunConfig, changes: readonly Partial<RunConfig>[]): RunConfig =>
  Object.assign({}, config, ...changes) as RunConfig;
