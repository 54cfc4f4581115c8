import fc from 'fast-check';
import { expect, it } from 'vitest';
import { countCopies } from '../src/index.ts';
import { arbitraryExample } from './arbitrary-example.ts';

const ids = Int32Array.of(1, 2, 3);

it('counts an example at its first place, and no later one', () => {
  const other = { ids, labels: Int32Array.of(-100, -100, 3) };
  const source = { file: 'b.jsonl', line: 2 };
  const examples = [{ ids, labels: ids }, other, { ids: ids.slice(), labels: ids, source }, other, other];
  expect([...countCopies(examples)]).toEqual([2, 3, 0, 0, 0]);
  expect([...countCopies([])]).toEqual([]);
});

it('tells examples with the same hash apart', () => {
  const [first, second] = [Int32Array.of(1, 0), Int32Array.of(0, 31)]; // 1·31 + 0 = 0·31 + 31
  expect([...countCopies([first, second, first].map((one) => ({ ids: one, labels: one })))]).toEqual([
    2, 1, 0,
  ]);
});

it('agrees with the texts of the examples', () => {
  const few = fc.array(arbitraryExample(), { minLength: 1, maxLength: 4 });
  const drawn = few.chain((pool) => fc.array(fc.constantFrom(...pool), { maxLength: 12 }));
  fc.assert(
    fc.property(drawn, (examples) => {
      const texts = examples.map(({ ids: tokens, labels }) => `${tokens.join()} ${labels.join()}`);
      expect([...countCopies(examples)]).toEqual(
        texts.map((text, i) =>
          texts.indexOf(text) === i ? texts.filter((other) => other === text).length : 0,
        ),
      );
    }),
  );
});
