import fc from 'fast-check';
import { NOT_COUNTED, type Example } from '../src/index.ts';

/** Examples of 1 … `longest` tokens, some labels not counted. `ids[0]` may repeat over examples. */
export const arbitraryExample = (longest = 12): fc.Arbitrary<Example> =>
  fc.array(fc.tuple(fc.nat(999), fc.boolean()), { minLength: 1, maxLength: longest }).map((tokens) => ({
    ids: Int32Array.from(tokens, ([id]) => id),
    labels: Int32Array.from(tokens, ([id, counted]) => (counted ? id : NOT_COUNTED)),
  }));

/** Examples that can be told apart: their first id is their index. */
export const numberedExamples = (maxLength = 40, longest = 12): fc.Arbitrary<Example[]> =>
  fc
    .array(arbitraryExample(longest), { minLength: 1, maxLength })
    .map((examples) =>
      examples.map(({ ids, labels }, index) => ({ ids: Int32Array.of(index, ...ids.subarray(1)), labels })),
    );
