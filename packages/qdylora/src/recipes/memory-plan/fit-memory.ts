import { snakeCase } from '@qdylora/contract';
import type { RunConfig } from '../../config/resolve-run.ts';
import { needsOfRuns, type NeedsOfRuns } from './needs-of-runs.ts';

/** Keys that make a run fit, with the values that they should have, and what it then needs. */
export interface Fit {
  readonly values: Readonly<Record<string, unknown>>;
  readonly totalBytes: number;
}

/**
 * Other values for some keys; null where they change nothing. `roomForStates`: bytes that optimizer states
 * may have, if that is `least` at least.
 */
type Change = (
  config: RunConfig,
  roomForStates: (least: number) => Promise<number>,
) => Partial<RunConfig> | null | Promise<Partial<RunConfig> | null>;

const MEBIBYTE = 2 ** 20;
/** Smallest budget that is proposed: pages of 1 MiB, of which a slot takes an eighth at most. */
const LEAST_BUDGET = 64 * MEBIBYTE;
/** What a page's slot and gaps may need beside the budget. */
const BUDGET_ROUNDING = 16 * MEBIBYTE;

const half = (value: number): number => Math.floor(value / 2);

/** From what costs least to what costs most: first those that leave every number of the run as it is. */
const CHANGES: readonly Change[] = [
  ({ gradientCheckpointing }) => (gradientCheckpointing === true ? null : { gradientCheckpointing: true }),
  ({ microBatchSize, gradientAccumulationSteps: steps }) =>
    microBatchSize < 2
      ? null
      : { microBatchSize: half(microBatchSize), gradientAccumulationSteps: 2 * steps },
  async ({ optimizer }, roomForStates) => {
    if (optimizer !== 'adamw_32bit' && optimizer !== 'adamw_8bit') return null;
    const room = await roomForStates(LEAST_BUDGET + BUDGET_ROUNDING);
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
  ({ loraR, ranks }) =>
    !ranks || loraR < 2 ? null : { loraR: half(loraR), ranks: ranks.filter((rank) => rank <= half(loraR)) },
];

/**
 * The mildest changes with which a run fits into `memoryBytes`: taken in their order until it does, then
 * those that turn out not to be needed are dropped. Null where no change helps.
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
    const more = await moreAndMore(change, before, (least) =>
      needs.roomForStates(before, memoryBytes, least),
    );
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
  return fitMemory(
    config,
    memoryBytes,
    needsOfRuns({ exact: needs.exact, rough: () => Promise.resolve(null) }),
  ); // rough numbers were too low: do without them
}

/** A run after a change. */
interface Changed {
  readonly values: Partial<RunConfig>;
  readonly config: RunConfig;
}

/** A change, and again and again as long as there is more of it. */
async function moreAndMore(
  change: Change,
  from: RunConfig,
  roomForStates: (least: number) => Promise<number>,
): Promise<Changed[]> {
  const more: Changed[] = [];
  for (let config = from; ;) {
    const values = await change(config, roomForStates);
    if (!values) return more;
    config = { ...config, ...values };
    more.push({ values, config });
  }
}

/** The place of the first that fits of ever smaller runs, of which the last one does. */
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
 * Drops each change, the last and hardest first, without which it fits too, and gives a page budget what is
 * left over.
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
        .filter(([key]) => key !== 'ranks' && key !== 'method')
        .map(([key, value]) => [snakeCase(key), value]),
    ),
    totalBytes,
  };
}

/** Fewer pages to wait for: looked at where the budget grows by a quarter at least. */
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
