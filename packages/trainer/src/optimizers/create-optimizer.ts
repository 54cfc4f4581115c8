import { QdyloraError } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import { adamw } from './adamw.ts';
import type { Optimizer } from './optimizer.ts';
import { sgd } from './sgd.ts';

/** What the config can say of any optimizer; each takes what it knows. */
export interface OptimizerOptions { readonly learningRate: number; readonly weightDecay?: number; readonly beta1?: number; readonly beta2?: number; readonly epsilon?: number; readonly momentum?: number }

const MAKERS: ReadonlyMap<string, (parameters: readonly Parameter[], options: OptimizerOptions) => Optimizer> = new Map([['adamw_32bit', adamw], ['sgd', sgd]]);

/** Names that `createOptimizer` takes. */
export const OPTIMIZER_NAMES: readonly string[] = [...MAKERS.keys()];

/**
 * The optimizer of a name, as in the config.
 *
 * @throws QdyloraError UNSUPPORTED for a name that is not here; the message lists those that are.
 */
export function createOptimizer(name: string, parameters: readonly Parameter[], options: OptimizerOptions): Optimizer {
  const make = MAKERS.get(name);
  if (make) return make(parameters, options);
  throw new QdyloraError('UNSUPPORTED', {
    where: 'optimizer', problem: `expected one of ${OPTIMIZER_NAMES.join(', ')} for optimizer, got ${name}`, nextStep: 'adamw_32bit is the plain one.', details: { got: name, supported: OPTIMIZER_NAMES },
  });
}
