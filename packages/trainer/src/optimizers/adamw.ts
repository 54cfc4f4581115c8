import {
  checkOptions,
  numberWithin,
  objectWith,
  oneOf,
  required,
  runOp,
  someFunction,
  someText,
  type ArrayView,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import { adamw8bitStep, adamwStep, type AdamwAttributes, type Parameter } from '@qdylora/tensor';
import { dynamicMaps, MAPS_BYTES, type DynamicMaps } from './dynamic-maps.ts';
import { checkUpdate } from './check-update.ts';
import type { Optimizer } from './optimizer.ts';
import type { PagingOptions } from './paging/paged-states.ts';
import { parameterStates, type StatePart } from './parameter-states.ts';
import { absmaxOf, eightBitLayout, float32Layout } from './state-layout.ts';
import { stepCounter } from './step-counter.ts';

type F32 = ArrayView<'f32'>;
type U8 = ArrayView<'u8'>;

export interface AdamwOptions {
  readonly learningRate: number;
  /** 0.9 by default. */
  readonly beta1?: number;
  /** 0.999 by default. */
  readonly beta2?: number;
  /** 1e-8 by default; added after bias correction. */
  readonly epsilon?: number;
  /** 0 by default. */
  readonly weightDecay?: number;
  /** Which parameters decay: by default those with at least two axes, so neither norms nor biases. */
  readonly decays?: (parameter: Parameter) => boolean;
  /**
   * Of m and v; 32 by default. 8: codes in blocks of 256 with a scale each; tensors below 4,096 elements stay
   * in 32 bits.
   */
  readonly bits?: 8 | 32;
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
  paging: objectWith(),
};
const PAGING: OptionRules<PagingOptions> = {
  budgetBytes: required(numberWithin({ above: 0 })),
  folder: someText,
  reserve: someFunction,
  open: someFunction,
};

export const isMatrix = ({ view }: Parameter): boolean => view.shape.length >= 2;

/**
 * AdamW in torch's order of operations (Loshchilov & Hutter 2019), with moments in float32 or in 8 bits
 * (Dettmers et al. 2022). A row counts its own updates, so that a block of ranks that trains rarely is
 * bias-corrected by its own age.
 *
 * @throws QdyloraError BAD_ARGUMENT for options outside their range; UNSUPPORTED (at the first step) for a
 * parameter that is no float32.
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
    decays = isMatrix,
    bits = 32,
    paging,
  } = options;
  const states = parameterStates(
    parameters,
    (bits === 8 ? eightBitLayout : float32Layout)(['m', 'v']),
    paging,
  );
  const counter = stepCounter();
  const maps = dynamicMaps();
  const dispose = (): void => {
    maps.release();
    states.dispose();
    counter.load({ rows: [], rest: 0 }); // a state that begins anew is bias-corrected anew
  };
  return {
    name: `${paging ? 'paged_' : ''}adamw_${bits}bit`,
    parameters,
    learningRate,
    byteLength: states.byteLength + (bits === 8 ? MAPS_BYTES : 0),
    ledger: states.ledger,
    gradients: states.gradients,
    resident: states.resident,
    prepare(backend) {
      states.prepare(backend);
      // now: a step must not fail to get them halfway, and every step needs the same
      if (bits === 8) maps.on(backend);
    },
    step(update) {
      checkUpdate(parameters, update);
      const backend = states.backend();
      const { learningRate: rate, gradientScale } = update;
      counter.advance(update.rows, (stretches) =>
        states.update(stretches, (part) => {
          stepPart(
            backend,
            part,
            {
              learningRate: rate,
              gradientScale,
              beta1,
              beta2,
              epsilon,
              weightDecay: decays(part.parameter) ? weightDecay : 0,
              step: part.step,
            },
            maps,
          );
        }),
      );
    },
    state: () => ({ counts: counter.counts(), arrays: states.arrays() }),
    load({ counts, arrays }) {
      states.load(arrays);
      counter.load(counts);
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function stepPart(
  backend: Backend,
  { weight: parameter, gradient, arrays }: StatePart,
  attributes: AdamwAttributes,
  maps: DynamicMaps,
): void {
  const m = arrays.m!;
  const v = arrays.v!;
  const mAbsmax = arrays[absmaxOf('m')];
  const vAbsmax = arrays[absmaxOf('v')];
  if (!mAbsmax)
    return void runOp(backend, adamwStep, { gradient }, attributes, { parameter, m: m as F32, v: v as F32 });
  const { signed: mMap, unsigned: vMap } = maps.on(backend);
  runOp(backend, adamw8bitStep, { gradient, mMap, vMap }, attributes, {
    parameter,
    mCodes: m as U8,
    mAbsmax: mAbsmax as F32,
    vCodes: v as U8,
    vAbsmax: vAbsmax as F32,
  });
}
