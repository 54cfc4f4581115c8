import { type ArrayView, type Backend } from '@qdylora/contract';
import type { Parameter } from '@qdylora/tensor';
import { checkUpdate } from './check-update.ts';
import { dynamicMaps, MAPS_BYTES, type DynamicMaps, type Maps } from './dynamic-maps.ts';
import type { Optimizer, OptimizerUpdate } from './optimizer.ts';
import type { PagingOptions } from './paging/paged-states.ts';
import { parameterStates, type ParameterStates, type StatePart } from './states/parameter-states.ts';
import { rateTable, type RateKey, type Rates, type RateTable } from './rate-table.ts';
import { repeatedUpdate, type RepeatedUpdate } from './repeated-update.ts';
import { absmaxOf, eightBitLayout, float32Layout } from './states/state-layout.ts';
import { rowRateOf, type RowRates } from './row-rates.ts';
import { stepCounter, type CountedRange } from './step-counter.ts';

/** The rows that one op updates, with its rates. */
export interface MomentStep extends StatePart {
  readonly rates: ArrayView<'f32'>;
  /** Levels of 8-bit states; null if the states of these rows are float32. */
  readonly maps: Maps | null;
}

/** How a moment optimizer differs from the others. */
export interface MomentRule {
  readonly name: string;
  readonly learningRate: number;
  /** Names of the moments: `m`, `v`. */
  readonly moments: readonly string[];
  readonly bits: 8 | 32;
  readonly decays: (parameter: Parameter) => boolean;
  readonly paging?: PagingOptions;
  readonly rowRates?: RowRates;
  /** The rates of one update, for its op. `update` has the learning rate of the rows. */
  ratesOf(update: OptimizerUpdate, key: RateKey): Rates;
  /** Runs the op on some rows of one parameter. */
  step(backend: Backend, rows: MomentStep): void;
}

/**
 * An optimizer that keeps moments for each weight, in float32 or in 8 bits, and runs one op for each
 * parameter.
 * Each row has its own update count. If all counts are equal, as in every run with update rule `prefix`, the
 * ops of an update are the same each time except for their rates: they are recorded and replayed.
 */
export function momentOptimizer(parameters: readonly Parameter[], rule: MomentRule): Optimizer {
  const { name, learningRate, bits, paging, rowRates } = rule;
  const hasCodes = bits === 8;
  const states = parameterStates(parameters, (hasCodes ? eightBitLayout : float32Layout)(rule.moments), {
    paging,
    rowRates,
  });
  const counter = stepCounter();
  const maps = dynamicMaps();
  const table = rateTable(states.factors);
  const repeated = repeatedUpdate();
  const ops: UpdateOps = { parameters, rule, states, maps, table, repeated };
  let isPrepared = false;
  const releaseConstants = (): void => {
    table.dispose();
    maps.release();
  };
  const dispose = (): void => {
    isPrepared = false;
    repeated.dispose();
    releaseConstants();
    states.dispose();
    counter.load({ rows: [], rest: 0 }); // a new state is bias-corrected from the start
  };
  return {
    name,
    parameters,
    learningRate,
    byteLength: states.byteLength + table.byteLength + (hasCodes ? MAPS_BYTES : 0),
    ledger: states.ledger,
    gradients: states.gradients,
    resident: states.resident,
    prepare(backend) {
      try {
        // allocated here, so that a step cannot run out of memory halfway; every step needs the same arrays
        table.prepare(backend);
        if (hasCodes) maps.on(backend);
        states.prepare(backend);
        isPrepared = true;
      } catch (error) {
        if (!isPrepared) releaseConstants(); // a second backend is refused, and the first one is kept
        throw error;
      }
    },
    step(update) {
      checkUpdate(parameters, update);
      counter.advance(update.rows, (ranges) => runUpdateOps(ops, ranges, update));
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

/** The state that the ops of an update read and write. */
interface UpdateOps {
  readonly parameters: readonly Parameter[];
  readonly rule: MomentRule;
  readonly states: ParameterStates;
  readonly maps: DynamicMaps;
  readonly table: RateTable;
  readonly repeated: RepeatedUpdate;
}

/** Runs one op for each parameter and range of rows, or replays these ops if they are the same as before. */
function runUpdateOps(
  { parameters, rule, states, maps, table, repeated }: UpdateOps,
  ranges: readonly CountedRange[],
  update: OptimizerUpdate,
): void {
  const backend = states.backend();
  const isSameEachTime = isWhole(ranges, parameters) && states.ledger().pagedBytes === 0;
  const steps = [...new Set(ranges.map(({ step }) => step))];
  table.withRates(
    steps,
    (key) => rule.ratesOf({ ...update, learningRate: rowRateOf(update, key) }, key),
    (ratesAt) => {
      const run = (target: Backend): void =>
        states.update(ranges, (part) => {
          const isCoded = absmaxOf('m') in part.arrays;
          const rates = ratesAt({ ...part, decays: rule.decays(part.parameter), isCoded });
          rule.step(target, { ...part, rates, maps: isCoded ? maps.on(backend) : null });
        });
      if (isSameEachTime) repeated.run(backend, [table.view(), ...replaceableArrays(parameters)], run);
      else run(backend);
    },
  );
}

/** Whether all rows of all parameters have the same update count, this update included. */
const isWhole = ([first, ...others]: readonly CountedRange[], parameters: readonly Parameter[]): boolean =>
  others.length === 0 && first?.from === 0 && parameters.every(({ view: { shape } }) => shape[0] <= first.to);

/** Weights and gradients: arrays that other code may replace between two updates. */
const replaceableArrays = (parameters: readonly Parameter[]): ArrayView[] =>
  parameters.flatMap(({ view, gradient }) => [view, gradient!]);
