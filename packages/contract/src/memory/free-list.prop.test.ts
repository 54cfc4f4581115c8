import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FreeList } from './free-list.ts';

const SIZE = 40;

/** What stands at each byte; a block goes where the first run of so many free bytes is. */
function firstFit(taken: readonly boolean[], bytes: number): number {
  for (let at = 0; at + bytes <= taken.length; at++)
    if (taken.slice(at, at + bytes).every((isTaken) => !isTaken)) return at;
  return -1;
}

test('a block gets the first place where it fits, after any sequence of blocks that came and went', () => {
  const actions = fc.array(
    fc.oneof(fc.record({ take: fc.integer({ min: 1, max: 12 }) }), fc.record({ give: fc.nat(30) })),
    { maxLength: 60, size: 'max' },
  );
  fc.assert(
    fc.property(actions, (script) => {
      const list = new FreeList(null, SIZE);
      const taken = Array.from({ length: SIZE }, () => false);
      const blocks: { at: number; bytes: number }[] = [];
      const fill = (at: number, bytes: number, isTaken: boolean): void => {
        taken.fill(isTaken, at, at + bytes);
      };
      for (const action of script) {
        if ('take' in action) {
          const at = list.take(action.take);
          expect(at).toBe(firstFit(taken, action.take));
          if (at < 0) continue;
          fill(at, action.take, true);
          blocks.push({ at, bytes: action.take });
        } else if (blocks.length > 0) {
          const [{ at, bytes }] = blocks.splice(action.give % blocks.length, 1) as [
            { at: number; bytes: number },
          ];
          list.give(at, bytes);
          fill(at, bytes, false);
        }
        expect(list.isEmpty).toBe(blocks.length === 0);
      }
    }),
    { numRuns: 200 },
  );
});
