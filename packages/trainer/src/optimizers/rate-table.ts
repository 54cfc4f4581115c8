import { DTYPE_BYTES, partOf, type ArrayView, type Backend } from '@qdylora/contract';
import { areSameFactors, type RowFactors } from './row-rates.ts';

type F32 = ArrayView<'f32'>;

/** The values of the input `rates` of one step op; they change from update to update. */
export type Rates = readonly number[];

/** Which rates an op needs. */
export interface RateKey extends RowFactors {
  /** How many updates the rows have had, this one included. */
  readonly step: number;
  readonly decays: boolean;
  /** Whether the state is in 8 bits. */
  readonly isCoded: boolean;
}

/** The `rates` of an update, in arrays that stay in place between updates. */
export interface RateTable {
  /** The array of all rates while all rows have the same update count. */
  view(): F32;
  /** Allocates the rates of one step count in advance. */
  prepare(backend: Backend): void;
  readonly byteLength: number;
  /**
   * Writes the rates for each step count, then runs `body`. `arrayOf` returns the array of a key.
   */
  withRates(
    steps: readonly number[],
    ratesOf: (key: RateKey) => Rates,
    body: (arrayOf: (key: RateKey) => F32) => void,
  ): void;
  dispose(): void;
}

/** Elements of the longest input `rates`. */
const ROW = 4;

/** The kinds of rates that each step count has. */
const KINDS = [true, false].flatMap((decays) => [true, false].map((isCoded) => ({ decays, isCoded })));

/** @param factors the different factors on the learning rate */
export function rateTable(factors: readonly RowFactors[]): RateTable {
  const kinds = factors.flatMap((each) => KINDS.map((kind) => ({ ...each, ...kind })));
  const elements = kinds.length * ROW;
  let table: { readonly backend: Backend; readonly view: F32 } | null = null;
  const indexOf = (steps: readonly number[], key: RateKey): number =>
    steps.indexOf(key.step) * kinds.length +
    kinds.findIndex(
      (kind) => areSameFactors(kind, key) && kind.decays === key.decays && kind.isCoded === key.isCoded,
    );
  return {
    view: () => table!.view,
    byteLength: elements * DTYPE_BYTES.f32,
    prepare(backend) {
      if (table) return;
      const view = backend.memory.allocate('f32', [elements]);
      backend.memory.persist(view);
      table = { backend, view };
    },
    withRates(steps, ratesOf, body) {
      const { memory } = table!.backend;
      const values = new Float32Array(steps.length * elements);
      const lengths: number[] = [];
      steps.forEach((step, i) => {
        kinds.forEach((kind, j) => {
          const rates = ratesOf({ step, ...kind });
          values.set(rates, i * elements + j * ROW);
          lengths.push(rates.length);
        });
      });
      const run = (view: F32): void => {
        memory.write(view, values);
        body((key) => {
          const index = indexOf(steps, key);
          return partOf(view, index * ROW, [lengths[index]]);
        });
      };
      if (steps.length === 1) run(table!.view);
      else
        memory.scoped(() => {
          run(memory.allocate('f32', [values.length]));
        });
    },
    dispose() {
      if (table) table.backend.memory.release(table.view);
      table = null;
    },
  };
}
