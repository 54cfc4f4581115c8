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
    ['goes on with other rows compares with no earlier score', 'b'],
    ['goes on with the same rows is stopped early as before', 'a'],
  ])('of a run that %s', async (_what, rows) => {
    const folder = temporaryFolder();
    const scores = [3, 4, 9, 8];
    const evaluate = (measures: string) => ({
      every: 2,
      measures,
      run: ({ step }: { step: number }) =>
        Promise.resolve({ byRank: [{ rank: 4, loss: scores[step / 2 - 1] + (measures === 'b' ? 10 : 0) }] }),
    });
    const options = { totalSteps: 8, earlyStopping: { on: 4, patience: 1 }, save: { folder } };
    const stopped = eventsOfType(await eventsOf(tinyTrain({ ...options, evaluate: evaluate('a') })), 'done');
    expect(stopped[0].result).toMatchObject({ step: 4, stoppedBy: 'early_stopping' });
    const events = await eventsOf(tinyTrain({ ...options, evaluate: evaluate(rows), resume: 'latest' }));
    expect(eventsOfType(events, 'warning').map(({ code }) => code)).toEqual(
      rows === 'b' ? ['OTHER_EVALUATION'] : [],
    );
    expect(eventsOfType(events, 'eval').map(({ step, isBest }) => [step, isBest])).toEqual(
      rows === 'b'
        ? [
            [6, true],
            [8, true],
          ]
        : [],
    );
    expect(eventsOfType(events, 'done')[0].result.best).toEqual(
      rows === 'b' ? { step: 8, score: 18 } : { step: 2, score: 3 },
    );
  });

  it('may measure other ranks at other steps', async () => {
    const run = ({ step }: { step: number }) =>
      Promise.resolve({ byRank: [{ rank: step === 2 ? 1 : 4, loss: 1 }], score: step });
    const events = await eventsOf(tinyTrain({ totalSteps: 4, evaluate: { every: 2, measures: 'a', run } }));
    expect(eventsOfType(events, 'eval').map(({ isBest }) => isBest)).toEqual([true, false]);
    expect(eventsOfType(events, 'warning')).toEqual([]);
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
