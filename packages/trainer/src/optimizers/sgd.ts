import { assertArgument, runOp, type ArrayView, type Backend } from '@qdylora/contract';
import { addInto, copy, fill, scaleBy, type Parameter } from '@qdylora/tensor';
import { isMatrix } from './adamw.ts';
import type { Optimizer } from './optimizer.ts';
import { parameterStates } from './parameter-states.ts';
import { float32Layout } from './state-layout.ts';
import { stepCounter } from './step-counter.ts';

type F32 = ArrayView<'f32'>;

export interface SgdOptions {
  readonly learningRate: number;
  /** 0 by default: then it keeps no state. */
  readonly momentum?: number;
  /** 0 by default; added to the gradient, as in torch. */
  readonly weightDecay?: number;
  /** Which parameters decay: by default those with at least two axes. */
  readonly decays?: (parameter: Parameter) => boolean;
}

/**
 * Stochastic gradient descent: g ← s·g + λ·p,  u ← μ·u + g,  p ← p − lr·u, with s the gradient scale (torch's SGD, no dampening).
 *
 * @throws QdyloraError BAD_ARGUMENT for options outside their range.
 */
export function sgd(parameters: readonly Parameter[], { learningRate, momentum = 0, weightDecay = 0, decays = isMatrix }: SgdOptions): Optimizer {
  assertArgument(Number.isFinite(learningRate) && learningRate >= 0, 'sgd', `expected a number ≥ 0 for learning_rate, got ${learningRate}`);
  assertArgument(momentum >= 0 && momentum < 1, 'sgd', `expected a number within 0 ≤ μ < 1 for momentum, got ${momentum}`);
  assertArgument(Number.isFinite(weightDecay) && weightDecay >= 0, 'sgd', `expected a number ≥ 0 for weight_decay, got ${weightDecay}`);
  const states = parameterStates(parameters, float32Layout(momentum > 0 ? ['velocity'] : [])), counter = stepCounter();
  return {
    name: 'sgd', parameters, learningRate, byteLength: states.byteLength, ledger: states.ledger, prepare: states.prepare, dispose: states.dispose, [Symbol.dispose]: states.dispose,
    step({ learningRate: rate, gradientScale, rows }) {
      const backend = states.backend();
      states.update(counter.advance(rows), ({ parameter, weight, gradient, arrays }) => {
        backend.memory.scoped(() => {
          const direction = scaled(backend, gradient, gradientScale);
          if (weightDecay > 0 && decays(parameter)) runOp(backend, addInto, { x: scaled(backend, weight, weightDecay) }, {}, { sum: direction });
          if (arrays.velocity) follow(backend, arrays.velocity as F32, direction, momentum);
          runOp(backend, addInto, { x: scaled(backend, direction, -rate) }, {}, { sum: weight });
        });
      });
    },
    state: () => ({ counts: counter.counts(), arrays: states.arrays() }),
    load({ counts, arrays }) {
      states.load(arrays);
      counter.load(counts);
    },
  };
}

/** velocity ← momentum · velocity + direction, and direction ← velocity. */
function follow(backend: Backend, velocity: F32, direction: F32, momentum: number): void {
  runOp(backend, addInto, { x: scaled(backend, velocity, momentum) }, {}, { sum: direction });
  runOp(backend, copy, { x: direction }, {}, { y: velocity });
}

/** factor · x, in the current scope. */
function scaled(backend: Backend, x: F32, factor: number): F32 {
  const { y } = runOp(backend, fill, {}, { value: factor, shape: [1] });
  return runOp(backend, scaleBy, { x, factor: y }, {}).y;
}
