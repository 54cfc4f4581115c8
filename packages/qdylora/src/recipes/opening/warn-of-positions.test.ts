import { sourceOf, type Example, type ExampleSource } from '@qdylora/data';
import { expect, test } from 'vitest';
import { warnOfPositions } from './warn-of-positions.ts';

const example = (length: number): Example => ({
  ids: new Int32Array(length),
  labels: new Int32Array(length),
});
const notesOn = (training: ExampleSource, heldOut: Example[], maxSeqLength: number): string[] => {
  const notes: string[] = [];
  warnOfPositions(
    { maxPositions: 8, attention: [{ rope: null }] },
    { training, heldOut },
    maxSeqLength,
    (note) => {
      notes.push(note);
    },
  );
  return notes;
};

test(
  'rows longer than the positions that a model was trained with are told, rows that may be longer too, ' +
    'and no others',
  () => {
    const short = sourceOf([example(3), example(8)]);
    const long = sourceOf([example(9), example(3)]);
    const unmeasured = { ...long, lengthAt: null };
    expect([notesOn(short, [example(8)], 64), notesOn(long, [], 8), notesOn(unmeasured, [], 8)]).toEqual([
      [],
      [],
      [],
    ]);
    expect(
      [notesOn(long, [], 64), notesOn(short, [example(10)], 64), notesOn(unmeasured, [], 64)].flat(),
    ).toEqual(
      [/^Rows have up to 9 tokens, .* 8 positions/, /^Rows have up to 10 /, /^Rows may have up to 64 /].map(
        (pattern) => expect.stringMatching(pattern) as string,
      ),
    );
  },
);
