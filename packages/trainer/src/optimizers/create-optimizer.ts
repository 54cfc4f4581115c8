import { anyValue, checkOptions, QdyloraError, type OptionRules } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import { adamw } from './adamw.ts';
import { lion } from './lion.ts';
import type { Optimizer } from './optimizer.ts';
import type { PagingOptions } from './paging/paged-states.ts';
import type { RowRates } from './row-rates.ts';
import { sgd } from './sgd.ts';

/** Options of all optimizers. Each optimizer reads the ones that it has, with its own defaults. */
export interface OptimizerOptions {
  readonly learningRate: number;
  readonly weightDecay?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly momentum?: number;
  /** Factors on the learning rate by row; 1 by default. */
  readonly rowRates?: RowRates;
  /** Required for the paged optimizers; the others ignore it. */
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

/** `bits`-bit AdamW. With `pagedName` it needs `paging`, without it ignores `paging`. */
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

/** Names that `createOptimizer` accepts, as in transformers and bitsandbytes. */
export const OPTIMIZER_NAMES: readonly string[] = [...MAKERS.keys()];

const PAGED = 'paged_';

/** True for optimizers that keep their state within a budget. */
export const isPaged = (name: string): boolean => name.startsWith(PAGED);

/**
 * Name of an optimizer's state in checkpoints. A paged optimizer computes the same bits as the plain one, so
 * either can resume from the other's state.
 */
export const stateNameOf = (name: string): string => (isPaged(name) ? name.slice(PAGED.length) : name);

/**
 * Creates an optimizer by its name in the config.
 *
 * @throws QdyloraError UNSUPPORTED for an unknown name (the message lists the known ones); BAD_ARGUMENT for a
 * paged optimizer without `paging`.
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
