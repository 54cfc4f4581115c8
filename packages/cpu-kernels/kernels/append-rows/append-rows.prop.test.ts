import { hostData, createHostBackend, i32View, runOp } from '@qdylora/contract';
import { appendRows } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { expect, test } from 'vitest';
import { everyLevel } from '../../test/every-level.ts';

const levels = await everyLevel();

test('a place outside y is refused before anything is written', () => {
  for (const backend of [createHostBackend(), ...levels.flatMap(({ backends }) => backends)]) {
    for (const end of [-1, 1, 5]) {
      const y = normalView(1, 'y', [4, 3]);
      const before = [...hostData(y)];
      expect(
        () =>
          runOp(
            backend,
            appendRows,
            { x: normalView(1, 'x', [2, 3]), segments: i32View([2], [0, end]) },
            { rows: 4 },
            { y },
          ),
        `${backend.level}, ${end}`,
      ).toThrow(/end within/);
      expect([...hostData(y)]).toEqual(before);
      expect(() =>
        runOp(
          backend,
          appendRows,
          { x: normalView(1, 'x', [2, 3]), segments: i32View([2], [0, end]) },
          { rows: 4 },
          { y },
        ),
      ).toThrow(
        expect.objectContaining({
          code: 'BAD_DATA',
          message: expect.stringContaining(`(got ${end}`) as string,
        }),
      );
    }
  }
});
