import {
  checkOptions,
  numberWithin,
  oneOf,
  required,
  runOp,
  someFunction,
  type ArrayView,
  type OptionRules,
} from '@qdylora/contract';
import { lion8bitStep, lionRates, lionStep, type Parameter } from '@qdylora/tensor';
import type { AdamwOptions } from './adamw.ts';
import { decaysByDefault } from './decays-by-default.ts';
import { momentOptimizer } from './moment-optimizer.ts';
import type { Optimizer } from './optimizer.ts';
import { absmaxOf } from './states/state-layout.ts';

type F32 = ArrayView<'f32'>;

/**
 * Options of AdamW, but beta2 is 0.99 by default, and there is no epsilon and no paging. Lion has half the
 * state of AdamW. A good learning rate is a third to a tenth of AdamW's.
 */
export type LionOptions = Omit<AdamwOptions, 'epsilon' | 'paging'>;

const OPTIONS: OptionRules<LionOptions> = {
  learningRate: required(numberWithin({ least: 0 })),
  beta1: numberWithin({ least: 0, below: 1 }),
  beta2: numberWithin({ least: 0, below: 1 }),
  weightDecay: numberWithin({ least: 0 }),
  decays: someFunction,
  bits: oneOf([8, 32]),
  rowRates: someFunction,
};

/**
 * Lion (Chen et al. 2023): every weight moves by the learning rate, against the sign of a blend of momentum
 * and gradient. Decay is decoupled and comes first.
 *
 * @throws QdyloraError BAD_ARGUMENT for options outside their range.
 */
export function lion(parameters: readonly Parameter[], options: LionOptions): Optimizer {
  checkOptions('lion', options, OPTIONS);
  const {
    learningRate,
    beta1 = 0.9,
    beta2 = 0.99,
    weightDecay = 0,
    decays = decaysByDefault,
    bits = 32,
    rowRates,
  } = options;
  const betas = { beta1, beta2 };
  return momentOptimizer(parameters, {
    name: `lion_${bits}bit`,
    learningRate,
    moments: ['m'],
    bits,
    decays,
    rowRates,
    ratesOf: (update, { decays: isDecayed }) =>
      lionRates({
        learningRate: update.learningRate,
        gradientScale: update.gradientScale,
        weightDecay: isDecayed ? weightDecay : 0,
      }),
    step(backend, { weight: parameter, gradient, rates, arrays, maps }) {
      if (!maps)
        return void runOp(backend, lionStep, { gradient, rates }, betas, { parameter, m: arrays.m as F32 });
      runOp(backend, lion8bitStep, { gradient, rates, mMap: maps.signed }, betas, {
        parameter,
        mCodes: arrays.m as ArrayView<'u8'>,
        mAbsmax: arrays[absmaxOf('m')] as F32,
      });
    },
  });
}
