import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { eventsOf, eventsOfType, failureOf, tinyTrain } from '../../test/tiny-run.ts';

describe('evaluation', () => {
  const byLoss = (losses: number[]) => ({
    every: 2,
    run: ({ step }: { step: number }) =>
      Promise.resolve({ byRank: [{ rank: 4, loss: losses[step / 2 - 1] ?? 9 }] }),
  });

  it('comes every so many steps and after the last one', async () => {
    expect(
      eventsOfType(
        await eventsOf(
          tinyTrain({
            totalSteps: 5,
            evaluate: { every: 2, run: () => Promise.resolve({ byRank: [{ rank: 1, loss: 1 }] }) },
          }),
        ),
        'eval',
      ).map(({ step }) => step),
    ).toEqual([2, 4, 5]);
  });

  it('comes before the first step too where that is asked for, and not again after a resume', async () => {
    const folder = temporaryFolder();
    const steps: number[] = [];
    const evaluate = {
      every: 3,
      beforeFirstStep: true,
      run: ({ step }: { step: number }) => {
        steps.push(step);
        return Promise.resolve({ byRank: [{ rank: 1, loss: 1 }] });
      },
    };
    await eventsOf(tinyTrain({ totalSteps: 2, evaluate, save: { folder } }));
    expect(steps).toEqual([0, 2]);
    await eventsOf(tinyTrain({ totalSteps: 4, evaluate, save: { folder }, resume: 'latest' }));
    expect(steps).toEqual([0, 2, 3, 4]);
  });

  it('keeps the best adapter, once for each improvement', async () => {
    const folder = temporaryFolder();
    const written: number[] = [];
    const events = await eventsOf(
      tinyTrain({
        totalSteps: 6,
        evaluate: byLoss([3, 1, 2]),
        save: {
          folder,
          writeBest: (at) => {
            written.push(written.length);
            writeFileSync(join(at, 'adapter.txt'), `${written.length}`);
          },
        },
      }),
    );
    expect(eventsOfType(events, 'eval').map(({ isBest }) => isBest)).toEqual([true, true, false]);
    expect(eventsOfType(events, 'checkpoint').map(({ kind, step }) => [kind, step])).toEqual([
      ['best', 2],
      ['best', 4],
      ['step', 6],
    ]);
    expect(readFileSync(join(folder, 'adapter-best', 'adapter.txt'), 'utf8')).toBe('2');
    expect(eventsOfType(events, 'done')[0].result.best).toEqual({ step: 4, score: 1 });
  });

  it.each([
    ['ranks', [8], 'a', true],
    ['rows', [1, 8], 'b', true],
    ['step', [1, 8], 'a', false],
  ])('compares with no score of other %s after a resume', async (_what, ranks, rows, isOther) => {
    const folder = temporaryFolder();
    const evaluate = (loss: number, evaluatedRanks: number[], evaluatedRows: string) => ({
      every: 2,
      rows: evaluatedRows,
      run: () => Promise.resolve({ byRank: evaluatedRanks.map((rank) => ({ rank, loss })) }),
    });
    const earlyStopping = { on: 8, patience: 1 };
    const save = { folder };
    await eventsOf(tinyTrain({ totalSteps: 2, evaluate: evaluate(1, [1, 8], 'a'), earlyStopping, save }));
    const events = await eventsOf(
      tinyTrain({
        totalSteps: 4,
        evaluate: evaluate(2, ranks, rows),
        earlyStopping,
        save,
        resume: 'latest',
      }),
    );
    expect(eventsOfType(events, 'eval').map(({ isBest }) => isBest)).toEqual([isOther]);
    const { code } = eventsOfType(events, 'warning').at(0) ?? {};
    expect(code).toBe(isOther ? 'OTHER_EVALUATION' : undefined);
    expect(eventsOfType(events, 'done')[0].result.best).toEqual({
      step: isOther ? 4 : 2,
      score: isOther ? 2 : 1,
    });
  });

  it('judges by the score where there is one', async () => {
    const run = ({ step }: { step: number }) =>
      Promise.resolve({ byRank: [{ rank: 1, loss: -step }], score: step });
    expect(
      eventsOfType(await eventsOf(tinyTrain({ totalSteps: 4, evaluate: { every: 2, run } })), 'eval').map(
        ({ isBest }) => isBest,
      ),
    ).toEqual([true, false]);
  });

  it('that fails fails the run with the same error', async () => {
    const problem = new Error('no such task');
    expect(await failureOf(tinyTrain({ evaluate: { every: 1, run: () => Promise.reject(problem) } }))).toBe(
      problem,
    );
  });
});
