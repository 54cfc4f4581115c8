import { assertArgument, runOp } from '@qdylora/contract';
import { adamwStep, type Parameter } from '@qdylora/tensor';
import type { Optimizer } from './optimizer.ts';
import { parameterStates, partOf } from './parameter-states.ts';
import { stepCounter } from './step-counter.ts';

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
}

export const isMatrix = ({ view }: Parameter): boolean => view.shape.length >= 2;

/**
 * AdamW with float32 moments, in torch's order of operations (Loshchilov & Hutter 2019). A row counts its own updates, so that a block of ranks
 * that trains rarely is bias-corrected by its own age.
 *
 * @throws QdyloraError BAD_ARGUMENT for options outside their range; UNSUPPORTED (at the first step) for a parameter that is no float32.
 */
export function adamw(parameters: readonly Parameter[], options: AdamwOptions): Optimizer {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0, decays = isMatrix } = options;
  check(options);
  const states = parameterStates(parameters, ['m', 'v']), counter = stepCounter();
  return {
    name: 'adamw_32bit', parameters, learningRate, byteLength: states.byteLength, prepare: states.prepare, dispose: states.dispose, [Symbol.dispose]: states.dispose,
    step(update) {
      const backend = states.backend();
      for (const stretch of counter.advance(update.rows)) {
        for (const { parameter, arrays } of states.all()) {
          const gradient = partOf(parameter.gradient!, stretch), weight = partOf(parameter.view as typeof arrays.m, stretch);
          if (!gradient || !weight) continue;
          const attributes = { learningRate: update.learningRate, gradientScale: update.gradientScale, beta1, beta2, epsilon, weightDecay: decays(parameter) ? weightDecay : 0, step: stretch.step };
          runOp(backend, adamwStep, { gradient }, attributes, { parameter: weight, m: partOf(arrays.m!, stretch)!, v: partOf(arrays.v!, stretch)! });
        }
      }
    },
    state: () => ({ counts: counter.counts(), arrays: states.arrays() }),
    load({ counts, arrays }) {
      states.load(arrays);
      counter.load(counts);
    },
  };
}

function check({ learningRate, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 }: AdamwOptions): void {
  const need = (holds: boolean, expected: string, name: string, got: number): void => assertArgument(holds, 'adamw', `expected ${expected} for ${name}, got ${got}`);
  need(Number.isFinite(learningRate) && learningRate >= 0, 'a number ≥ 0', 'learning_rate', learningRate);
  need(beta1 >= 0 && beta1 < 1, 'a number within 0 ≤ β < 1', 'beta1', beta1);
  need(beta2 >= 0 && beta2 < 1, 'a number within 0 ≤ β < 1', 'beta2', beta2);
  need(epsilon > 0, 'a number > 0', 'epsilon', epsilon);
  need(Number.isFinite(weightDecay) && weightDecay >= 0, 'a number ≥ 0', 'weight_decay', weightDecay);
}
