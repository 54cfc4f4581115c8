import {
  checkOptions,
  numberWithin,
  oneOf,
  required,
  runOp,
  someFunction,
  type ArrayView,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import { lion8bitStep, lionStep, type LionAttributes, type Parameter } from '@qdylora/tensor';
import { isMatrix, type AdamwOptions } from './adamw.ts';
import { checkUpdate } from './check-update.ts';
import { dynamicMaps, MAPS_BYTES, type DynamicMaps } from './dynamic-maps.ts';
import type { Optimizer } from './optimizer.ts';
import { parameterStates, type StatePart } from './parameter-states.ts';
import { absmaxOf, eightBitLayout, float32Layout } from './state-layout.ts';
import { stepCounter } from './step-counter.ts';

type F32 = ArrayView<'f32'>;

/**
 * As AdamW's, but beta2 is 0.99 by default, and there is no epsilon and no paging: half the state. A good
 * learning rate is a third to a tenth of AdamW's.
 */
export type LionOptions = Omit<AdamwOptions, 'epsilon' | 'paging'>;

const OPTIONS: OptionRules<LionOptions> = {
  learningRate: required(numberWithin({ least: 0 })),
  beta1: numberWithin({ least: 0, below: 1 }),
  beta2: numberWithin({ least: 0, below: 1 }),
  weightDecay: numberWithin({ least: 0 }),
  decays: someFunction,
  bits: oneOf([8, 32]),
};

/**
 * Lion (Chen et al. 2023): every weight moves by the learning rate, against the sign of a blend of momentum
 * and gradient. Decay is decoupled and comes first.
 *
 * @throws QdyloraError BAD_ARGUMENT for options outside their range.
 */
export function lion(parameters: readonly Parameter[], options: LionOptions): Optimizer {
  checkOptions('lion', options, OPTIONS);
  const { learningRate, beta1 = 0.9, beta2 = 0.99, weightDecay = 0, decays = isMatrix, bits = 32 } = options;
  const states = parameterStates(parameters, (bits === 8 ? eightBitLayout : float32Layout)(['m']));
  const counter = stepCounter();
  const maps = dynamicMaps();
  const dispose = (): void => {
    maps.release();
    states.dispose();
    counter.load({ rows: [], rest: 0 });
  };
  return {
    name: `lion_${bits}bit`,
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
      const { learningRate: rate, gradientScale, rows } = update;
      const backend = states.backend();
      counter.advance(rows, (stretches) =>
        states.update(stretches, (part) => {
          stepPart(
            backend,
            part,
            {
              learningRate: rate,
              gradientScale,
              beta1,
              beta2,
              weightDecay: decays(part.parameter) ? weightDecay : 0,
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
  attributes: LionAttributes,
  maps: DynamicMaps,
): void {
  const mAbsmax = arrays[absmaxOf('m')];
  if (!mAbsmax)
    return void runOp(backend, lionStep, { gradient }, attributes, { parameter, m: arrays.m as F32 });
  runOp(backend, lion8bitStep, { gradient, mMap: maps.on(backend).signed }, attributes, {
    parameter,
    mCodes: arrays.m as ArrayView<'u8'>,
    mAbsmax: mAbsmax as F32,
  });
}
