import { hostData, assertShape, defineOp, f32Array, type ArrayView } from '@qdylora/contract';
import {
  assertBetas,
  assertEpsilon,
  assertStep,
  type AdamwAttributes,
  type AdamwRates,
  type FourNumbers,
} from './adamw-step.ts';
import {
  codeLimits,
  encodeStateBlock,
  forEachStateBlock,
  STATE_BLOCK_SIZE,
  stateBlocks,
} from './state-codes.ts';

type F32 = ArrayView<'f32'>;
type U8 = ArrayView<'u8'>;

/**
 * `mMap`, `vMap`: the 256 levels of m and v, in rising order: bitsandbytes' signed and unsigned dynamic maps
 * (`signedDynamicMap`, `unsignedDynamicMap` of @qdylora/quant).
 */
type Inputs = { readonly gradient: F32; readonly rates: F32; readonly mMap: F32; readonly vMap: F32 };
type Outputs = {
  readonly parameter: F32;
  readonly mCodes: U8;
  readonly mAbsmax: F32;
  readonly vCodes: U8;
  readonly vAbsmax: F32;
};

/**
 * `adamw-step` with m and v in 8 bits: value = map[code] · absmax of its block. A block is decoded, updated
 * as in `adamw-step`, and encoded again: absmax ← the block's largest magnitude, code ← the level nearest to
 * value / absmax, the lower one on a limit. The parameter sees m and v before they are rounded.
 * A v that isn't 0 in float32 never gets code 0. Squares of gradients must be finite.
 *
 * The bias correction of v is part of the step size and of ε, which saves a division:
 * rates = [lr / (1−β₁ᵗ) · c, ε · c, 1 − lr·λ, s] with c = √(1−β₂ᵗ), from `adamw8bitRates`.
 *
 * gradient: [rows, columns]  rates: [4]  mMap, vMap: [256]
 * → parameter, mCodes, vCodes: [rows, columns]  mAbsmax, vAbsmax: [rows, ceil(columns / 256)]
 * Source: Dettmers et al. 2022 (8-bit optimizers); blocks restart at every row.
 */
export const adamw8bitStep = defineOp({
  name: 'adamw-8bit-step',
  takes: { gradient: f32Array(2), rates: f32Array(1), mMap: f32Array(1), vMap: f32Array(1) },
  updates: ['parameter', 'mCodes', 'mAbsmax', 'vCodes', 'vAbsmax'],
  shapes(i: Inputs, betas: Pick<AdamwAttributes, 'beta1' | 'beta2'>) {
    assertBetas('adamw-8bit-step', betas);
    assertShape('adamw-8bit-step', 'rates', i.rates.shape, [4]);
    for (const name of ['mMap', 'vMap'] as const) assertShape('adamw-8bit-step', name, i[name].shape, [256]);
    const { shape } = i.gradient;
    const codes = { dtype: 'u8' as const, shape };
    const absmax = { dtype: 'f32' as const, shape: [shape[0], stateBlocks(shape[1])] };
    return {
      parameter: { dtype: 'f32' as const, shape },
      mCodes: codes,
      mAbsmax: absmax,
      vCodes: codes,
      vAbsmax: absmax,
    };
  },
  reference({ gradient, rates, mMap, vMap }, { parameter, mCodes, mAbsmax, vCodes, vAbsmax }: Outputs, a) {
    const m = {
      codes: hostData(mCodes),
      absmax: hostData(mAbsmax),
      map: hostData(mMap),
      limits: codeLimits(hostData(mMap)),
    };
    const v = {
      codes: hostData(vCodes),
      absmax: hostData(vAbsmax),
      map: hostData(vMap),
      limits: codeLimits(hostData(vMap)),
    };
    const [stepSize, epsilon, keep, scale] = hostData(rates) as unknown as FourNumbers;
    const first = new Float64Array(STATE_BLOCK_SIZE);
    const second = new Float64Array(STATE_BLOCK_SIZE);
    const gradients = hostData(gradient);
    const weights = hostData(parameter);
    forEachStateBlock(gradient.shape, (block) => {
      for (let j = 0; j < block.count; j++) {
        const i = block.from + j;
        const g = gradients[i] * scale;
        first[j] = a.beta1 * m.map[m.codes[i]] * m.absmax[block.block] + (1 - a.beta1) * g;
        second[j] = a.beta2 * v.map[v.codes[i]] * v.absmax[block.block] + (1 - a.beta2) * g * g;
        weights[i] = weights[i] * keep - (stepSize * first[j]) / (Math.sqrt(second[j]) + epsilon);
      }
      encodeStateBlock(m, block, first);
      encodeStateBlock(v, block, second, 1);
    });
  },
});

/**
 * The `rates` of one step, computed in float64; storing them as float32 is the only rounding.
 *
 * @throws QdyloraError BAD_ARGUMENT for a step below 1, or an ε that is negative or NaN
 */
export function adamw8bitRates(
  { beta1, beta2, epsilon }: AdamwAttributes,
  { learningRate, weightDecay, step, gradientScale }: AdamwRates,
): FourNumbers {
  assertStep('adamw-8bit-step', step);
  assertEpsilon('adamw-8bit-step', epsilon);
  const rootCorrection = Math.sqrt(1 - beta2 ** step);
  return [
    (learningRate / (1 - beta1 ** step)) * rootCorrection,
    epsilon * rootCorrection,
    1 - learningRate * weightDecay,
    gradientScale,
  ];
}
