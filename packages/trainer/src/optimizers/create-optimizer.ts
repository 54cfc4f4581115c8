import { QdyloraError } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import { adamw } from './adamw.ts';
import { lion } from './lion.ts';
import type { Optimizer } from './optimizer.ts';
import type { PagingOptions } from './paging/paged-states.ts';
import { sgd } from './sgd.ts';

/** What the config can say of any optimizer; each takes what it knows, with its own defaults. */
export interface OptimizerOptions {
  readonly learningRate: number;
  readonly weightDecay?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  readonly momentum?: number;
  /** The paged ones need it. */
  readonly paging?: PagingOptions;
}

type Maker = (parameters: readonly Parameter[], options: OptimizerOptions) => Optimizer;

const MAKERS: ReadonlyMap<string, Maker> = new Map<string, Maker>([
  ['adamw_32bit', (parameters, options) => adamw(parameters, { ...options, bits: 32, paging: undefined })],
  ['adamw_8bit', (parameters, options) => adamw(parameters, { ...options, bits: 8, paging: undefined })],
  ['paged_adamw_32bit', (parameters, options) => adamw(parameters, { ...options, bits: 32, paging: pagingOf('paged_adamw_32bit', options) })],
  ['paged_adamw_8bit', (parameters, options) => adamw(parameters, { ...options, bits: 8, paging: pagingOf('paged_adamw_8bit', options) })],
  ['lion_8bit', (parameters, options) => lion(parameters, { ...options, bits: 8 })],
  ['sgd', sgd],
]);

/** Names that `createOptimizer` takes: those of transformers and bitsandbytes. */
export const OPTIMIZER_NAMES: readonly string[] = [...MAKERS.keys()];

const PAGED = 'paged_';

/** True for optimizers that keep their state within a budget. */
export const isPaged = (name: string): boolean => name.startsWith(PAGED);

/** What a checkpoint's optimizer is called: a paged one computes what the other does, bit for bit, so either goes on from the other's state. */
export const stateNameOf = (name: string): string => (isPaged(name) ? name.slice(PAGED.length) : name);

/**
 * The optimizer of a name, as in the config.
 *
 * @throws QdyloraError UNSUPPORTED for a name that is not here (the message lists those that are); BAD_ARGUMENT for a paged one without `paging`.
 */
export function createOptimizer(name: string, parameters: readonly Parameter[], options: OptimizerOptions): Optimizer {
  const make = MAKERS.get(name);
  if (make) return make(parameters, options);
  throw new QdyloraError('UNSUPPORTED', {
    where: 'optimizer', problem: `expected one of ${OPTIMIZER_NAMES.join(', ')} for optimizer, got ${name}`, nextStep: 'adamw_32bit is the plain one.', details: { got: name, supported: OPTIMIZER_NAMES },
  });
}

function pagingOf(name: string, { paging }: OptimizerOptions): PagingOptions {
  if (paging) return paging;
  throw new QdyloraError('BAD_ARGUMENT', { where: 'optimizer', problem: `expected a budget and a folder for pages (paging) for ${name}, got none`, nextStep: `Give paging, or choose ${stateNameOf(name)}.` });
}
