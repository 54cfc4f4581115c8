import {
  checkOptions,
  elementCount,
  numberWithin,
  required,
  reshaped,
  rowsOf,
  runOp,
  someFunction,
  type ArrayView,
  type Backend,
  type OptionRules,
} from '@qdylora/contract';
import { addInto, copy, fill, scaleBy, type Parameter } from '@qdylora/tensor';
import { checkUpdate } from './check-update.ts';
import { decaysByDefault } from './decays-by-default.ts';
import type { Optimizer } from './optimizer.ts';
import { areSameFactors, rowRateOf, type RowFactors, type RowRates } from './row-rates.ts';
import { parameterStates, type StatePart } from './states/parameter-states.ts';
import { float32Layout } from './states/state-layout.ts';
import { stepCounter } from './step-counter.ts';

type F32 = ArrayView<'f32'>;

/** Options of `sgd`: its constants, and which parameters decay. */
export interface SgdOptions {
  /** The rate that `trainStep` uses by default. `train` takes the rate from its schedule instead. */
  readonly learningRate: number;
  /** 0 by default: no state. */
  readonly momentum?: number;
  /** 0 by default; added to the gradient, as in torch. */
  readonly weightDecay?: number;
  /** Whether a parameter decays. By default those with at least two axes do. */
  readonly decays?: (parameter: Parameter) => boolean;
  /** Factors on the learning rate by row; 1 by default. */
  readonly rowRates?: RowRates;
}

const OPTIONS: OptionRules<SgdOptions> = {
  learningRate: required(numberWithin({ least: 0 })),
  momentum: numberWithin({ least: 0, below: 1 }),
  weightDecay: numberWithin({ least: 0 }),
  decays: someFunction,
  rowRates: someFunction,
};

/**
 * Stochastic gradient descent: g ← s·g + λ·p, u ← μ·u + g, p ← p − lr·u, with s the gradient scale (torch's
 * SGD, no dampening).
 *
 * @throws QdyloraError BAD_ARGUMENT for options outside their range.
 */
export function sgd(parameters: readonly Parameter[], options: SgdOptions): Optimizer {
  checkOptions('sgd', options, OPTIONS);
  const { learningRate, momentum = 0, weightDecay = 0, decays = decaysByDefault, rowRates } = options;
  const states = parameterStates(parameters, float32Layout(momentum > 0 ? ['velocity'] : []), { rowRates });
  const counter = stepCounter();
  const dispose = (): void => {
    states.dispose();
    counter.load({ rows: [], rest: 0 });
  };
  return {
    name: 'sgd',
    parameters,
    learningRate,
    byteLength: states.byteLength,
    ledger: states.ledger,
    gradients: states.gradients,
    resident: states.resident,
    prepare: states.prepare,
    dispose,
    [Symbol.dispose]: dispose,
    step(update) {
      checkUpdate(parameters, update);
      const { gradientScale, rows } = update;
      const backend = states.backend();
      backend.memory.scoped(() => {
        const step = {
          ...room(backend, parameters),
          scale: factorOf(backend, gradientScale),
          decay: factorOf(backend, weightDecay),
          momentum: factorOf(backend, momentum),
          minusRates: states.factors.map((factors) => ({
            factors,
            minusRate: factorOf(backend, -rowRateOf(update, factors)),
          })),
        };
        counter.advance(rows, (ranges) =>
          states.update(ranges, (part) => {
            stepPart(backend, part, step, weightDecay > 0 && decays(part.parameter));
          }),
        );
      });
    },
    state: () => ({ counts: counter.counts(), arrays: states.arrays() }),
    load({ counts, arrays }) {
      states.load(arrays);
      counter.load(counts);
    },
  };
}

/** The arrays of one step. All of them are allocated before the first weight changes. */
interface Step {
  readonly direction: F32;
  readonly product: F32;
  readonly scale: F32;
  readonly decay: F32;
  readonly momentum: F32;
  /** −lr · factor of the rows, for the different factors */
  readonly minusRates: readonly { readonly factors: RowFactors; readonly minusRate: F32 }[];
}

/** Two arrays of the largest parameter's size. */
function room({ memory }: Backend, parameters: readonly Parameter[]): Pick<Step, 'direction' | 'product'> {
  const most = Math.max(...parameters.map(({ view }) => elementCount(view.shape)));
  return { direction: memory.allocate('f32', [most]), product: memory.allocate('f32', [most]) };
}

const factorOf = (backend: Backend, value: number): F32 => runOp(backend, fill, {}, { value, shape: [1] }).y;

function stepPart(backend: Backend, part: StatePart, step: Step, hasDecay: boolean): void {
  const { weight, gradient, arrays } = part;
  const like = (whole: F32): F32 => reshaped(rowsOf(whole, 0, elementCount(weight.shape)), weight.shape);
  const direction = like(step.direction);
  const product = like(step.product);
  runOp(backend, scaleBy, { x: gradient, factor: step.scale }, {}, { y: direction });
  if (hasDecay) add(backend, weight, step.decay, { product, sum: direction });
  if (arrays.velocity) {
    const velocity = arrays.velocity as F32;
    add(backend, velocity, step.momentum, { product, sum: direction });
    runOp(backend, copy, { x: direction }, {}, { y: velocity });
  }
  const { minusRate } = step.minusRates.find(({ factors }) => areSameFactors(factors, part))!;
  add(backend, direction, minusRate, { product, sum: weight });
}

/** sum ← sum + factor · x */
function add(
  backend: Backend,
  x: F32,
  factor: F32,
  { product, sum }: { readonly product: F32; readonly sum: F32 },
): void {
  runOp(backend, scaleBy, { x, factor }, {}, { y: product });
  runOp(backend, addInto, { x: product }, {}, { sum });
}
