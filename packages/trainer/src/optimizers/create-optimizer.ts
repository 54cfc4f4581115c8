import { anyValue, checkOptions, QdyloraError, type OptionRules } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import { adamw } from './adamw.ts';
import { lion } from './lion.ts';
import type { Optimizer } from './optimizer.ts';
import type { PagingOptions } from './paging/paged-states.ts';
import type { RowRates } from './row-rates.ts';
import { sgd } from './sgd.ts';

/** Options of all optimizers. Each reads those that it has, with its own defaults. */
export interface OptimizerOptions {
  readonly learningRate: number;
  readonly weightDecay?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly momentum?: number;
  /** Factors on the learning rate by row; 1 by default. */
  readonly rowRates?: RowRates;
  /** The paged ones need it. */
  readonly paging?: PagingOptions;
}

type Maker = (parameters: readonly Parameter[], options: OptimizerOptions) => Optimizer;

const OPTIONS: OptionRules<OptimizerOptions> = {
  learningRate: anyValue,
  weightDecay: anyValue,
  beta1: anyValue,
  beta2: anyValue,
  epsilon: anyValue,
  momentum: anyValue,
  rowRates: anyValue,
  paging: anyValue,
};

/** `bits`-bit AdamW; a name that begins with `paged_` needs paging, and only such a one takes it. */
const adamwOf =
  (bits: 8 | 32, pagedName?: string): Maker =>
  (parameters, { learningRate, weightDecay, beta1, beta2, epsilon, rowRates, paging }) =>
    adamw(parameters, {
      learningRate,
      weightDecay,
      beta1,
      beta2,
      epsilon,
      bits,
      rowRates,
      paging: pagedName === undefined ? undefined : pagingOf(pagedName, paging),
    });

const MAKERS: ReadonlyMap<string, Maker> = new Map<string, Maker>([
  ['adamw_32bit', adamwOf(32)],
  ['adamw_8bit', adamwOf(8)],
  ['paged_adamw_32bit', adamwOf(32, 'paged_adamw_32bit')],
  ['paged_adamw_8bit', adamwOf(8, 'paged_adamw_8bit')],
  [
    'lion_8bit',
    (parameters, { learningRate, weightDecay, beta1, beta2, rowRates }) =>
      lion(parameters, { learningRate, weightDecay, beta1, beta2, bits: 8, rowRates }),
  ],
  [
    'sgd',
    (parameters, { learningRate, weightDecay, momentum, rowRates }) =>
      sgd(parameters, { learningRate, weightDecay, momentum, rowRates }),
  ],
]);

/** Names that `createOptimizer` takes: those of transformers and bitsandbytes. */
export const OPTIMIZER_NAMES: readonly string[] = [...MAKERS.keys()];

const PAGED = 'paged_';

/** True for optimizers that keep their state within a budget. */
export const isPaged = (name: string): boolean => name.startsWith(PAGED);

/**
 * What a checkpoint's optimizer is called: a paged one computes what the other does, bit for bit, so either
 * goes on from the other's state.
 */
export const stateNameOf = (name: string): string => (isPaged(name) ? name.slice(PAGED.length) : name);

/**
 * The optimizer of a name, as in the config.
 *
 * @throws QdyloraError UNSUPPORTED for a name that is not here (the message lists those that are);
 * BAD_ARGUMENT for a paged one without `paging`.
 */
export function createOptimizer(
  name: string,
  parameters: readonly Parameter[],
  options: OptimizerOptions,
): Optimizer {
  const make = MAKERS.get(name);
  checkOptions('createOptimizer', options, OPTIONS);
  if (make) return make(parameters, options);
  throw new QdyloraError('UNSUPPORTED', {
    where: 'optimizer',
    problem: `There is no optimizer ${name}; the optimizers are ${OPTIMIZER_NAMES.join(', ')}`,
    nextStep: 'adamw_32bit is the plain one.',
    details: { got: name, supported: OPTIMIZER_NAMES },
  });
}

function pagingOf(name: string, paging: PagingOptions | undefined): PagingOptions {
  if (paging) return paging;
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'optimizer',
    problem: `${name} needs the option paging: a budget and a folder for pages`,
    nextStep: `Without paging, choose ${stateNameOf(name)}.`,
  });
}
