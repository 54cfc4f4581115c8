import {
  checkOptions,
  trueOrFalse,
  numberWithin,
  objectWith,
  oneOf,
  required,
  runOp,
  someFunction,
  someText,
  type ArrayView,
  type OptionRules,
} from '@qdylora/contract';
import { adamw8bitRates, adamw8bitStep, adamwRates, adamwStep, type Parameter } from '@qdylora/tensor';
import { decaysByDefault } from './decays-by-default.ts';
import { momentOptimizer } from './moment-optimizer.ts';
import type { Optimizer } from './optimizer.ts';
import type { PagingOptions } from './paging/paged-states.ts';
import type { RowRates } from './row-rates.ts';
import { absmaxOf } from './states/state-layout.ts';

type F32 = ArrayView<'f32'>;
type U8 = ArrayView<'u8'>;

/** Options of `adamw`: its constants, and how its moments are stored. */
export interface AdamwOptions {
  /** The rate that `trainStep` uses by default. `train` takes the rate from its schedule instead. */
  readonly learningRate: number;
  /** 0.9 by default. */
  readonly beta1?: number;
  /** 0.999 by default. */
  readonly beta2?: number;
  /** 1e-8 by default; added after bias correction. */
  readonly epsilon?: number;
  /** Decoupled from the gradient; 0 by default. */
  readonly weightDecay?: number;
  /** Whether a parameter decays. By default those with at least two axes do: no norms and no biases. */
  readonly decays?: (parameter: Parameter) => boolean;
  /**
   * Bits of m and v; 32 by default. 8: codes in blocks of 256 with a scale each; tensors below 4,096 elements
   * stay in 32 bits.
   */
  readonly bits?: 8 | 32;
  /** Factors on the learning rate by row; 1 by default. */
  readonly rowRates?: RowRates;
  /** Keeps the state within a budget; the rest goes to a file. The result is the same, bit for bit. */
  readonly paging?: PagingOptions;
}

const OPTIONS: OptionRules<AdamwOptions> = {
  learningRate: required(numberWithin({ least: 0 })),
  beta1: numberWithin({ least: 0, below: 1 }),
  beta2: numberWithin({ least: 0, below: 1 }),
  epsilon: numberWithin({ above: 0 }),
  weightDecay: numberWithin({ least: 0 }),
  decays: someFunction,
  bits: oneOf([8, 32]),
  rowRates: someFunction,
  paging: objectWith(),
};
const PAGING: OptionRules<PagingOptions> = {
  budgetBytes: required(numberWithin({ above: 0 })),
  folder: someText,
  reserve: someFunction,
  open: someFunction,
  isDoubleBuffered: trueOrFalse,
};

/**
 * AdamW in torch's order of operations (Loshchilov & Hutter 2019), with moments in float32 or in 8 bits
 * (Dettmers et al. 2022). Each row has its own update count, so that a block of ranks that trains rarely is
 * bias-corrected by its own age.
 *
 * @throws QdyloraError BAD_ARGUMENT for options outside their range; UNSUPPORTED (at the first step) for a
 * parameter that is not float32.
 */
export function adamw(parameters: readonly Parameter[], options: AdamwOptions): Optimizer {
  checkOptions('adamw', options, OPTIONS);
  if (options.paging) checkOptions('adamw, paging', options.paging, PAGING);
  const {
    learningRate,
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
    weightDecay = 0,
    decays = decaysByDefault,
    bits = 32,
    paging,
    rowRates,
  } = options;
  const constants = { beta1, beta2, epsilon };
  return momentOptimizer(parameters, {
    name: `${paging ? 'paged_' : ''}adamw_${bits}bit`,
    learningRate,
    moments: ['m', 'v'],
    bits,
    decays,
    paging,
    rowRates,
    ratesOf: (update, { step, decays: isDecayed, isCoded }) =>
      (isCoded ? adamw8bitRates : adamwRates)(constants, {
        learningRate: update.learningRate,
        gradientScale: update.gradientScale,
        weightDecay: isDecayed ? weightDecay : 0,
        step,
      }),
    step(backend, { weight: parameter, gradient, rates, arrays, maps }) {
      const m = arrays.m!;
      const v = arrays.v!;
      if (!maps)
        return void runOp(backend, adamwStep, { gradient, rates }, constants, {
          parameter,
          m: m as F32,
          v: v as F32,
        });
      const { signed: mMap, unsigned: vMap } = maps;
      runOp(
        backend,
        adamw8bitStep,
        { gradient, rates, mMap, vMap },
        { beta1, beta2 },
        {
          parameter,
          mCodes: m as U8,
          mAbsmax: arrays[absmaxOf('m')] as F32,
          vCodes: v as U8,
          vAbsmax: arrays[absmaxOf('v')] as F32,
        },
      );
    },
  });
}
