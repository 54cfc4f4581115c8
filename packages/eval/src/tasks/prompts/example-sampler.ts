import { QdyloraError } from '@qdylora/contract';
import { areEqual, type RowValues } from '@qdylora/data';
import { createPythonRandom } from '../python/python-random.ts';

/** The seed of the harness for examples. */
export const FEWSHOT_SEED = 1234;

/** Draws the examples of one document after another: the state of its generator moves on. */
export interface ExampleSampler {
  /** @param judged left out of its own examples; null: it cannot be among them */
  sample(count: number, judged: RowValues | null): readonly RowValues[];
}

/**
 * The samplers of the harness: `default` draws at random, `first_n` takes the first examples.
 *
 * Both leave the judged document out, with all documents equal to it.
 *
 * @throws QdyloraError BAD_DATA where there are fewer examples than needed
 */
export function createSampler(
  sampler: 'default' | 'first_n',
  pool: readonly RowValues[],
  where: string,
): ExampleSampler {
  const rng = createPythonRandom(FEWSHOT_SEED);
  const without = (rows: readonly RowValues[], judged: RowValues): RowValues[] =>
    rows.filter((row) => !areEqual(row.value, judged.value, () => {}));
  const assertEnough = (available: number, count: number): void => {
    if (count <= available) return;
    throw new QdyloraError('BAD_DATA', {
      where,
      problem: `${count} examples are drawn for each prompt, but there are only ${available}`,
      nextStep: 'Give more rows to the split of examples, or ask for fewer: --num-fewshot.',
    });
  };
  const drawn = (rows: readonly RowValues[], count: number): readonly RowValues[] => {
    assertEnough(rows.length, count);
    return rng.sample(rows, count);
  };
  if (sampler === 'first_n')
    return {
      sample(count, judged) {
        const rows = judged ? without(pool, judged) : pool;
        assertEnough(rows.length, count);
        return rows.slice(0, count);
      },
    };
  return {
    sample(count, judged) {
      if (!judged) return drawn(pool, count);
      // One more is drawn, so that enough are left if the judged document is among them.
      const rows = without(drawn(pool, count + 1), judged).slice(0, count);
      return rows.length === count ? rows : drawn(without(pool, judged), count);
    },
  };
}
