import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeTinyRows } from '../../test/tiny-model.ts';
import { bytesOf, rejection, run, tinyRun } from '../../test/tiny-run.ts';
import { finetune, type FinetuneEvent, type FinetuneOptions } from '../index.ts';

const { folder, rows, common } = tinyRun();

describe('keys of a run', () => {
  it.each(['gradient', 'activations'] as const)(
    'start an adapter on its %s, and say so',
    async (adapterInit) => {
      const short = { ...common, maxSteps: 1 } as const;
      const events = await run({ ...short, adapterInit, outputDir: folder.in(adapterInit) });
      expect(events).toContainEqual({
        type: 'notice',
        message: expect.stringMatching(
          `^adapter_init ${adapterInit}: two passes over \\d+ rows took`,
        ) as string,
      });
      const plain = folder.in(`${adapterInit} not`);
      await run({ ...short, outputDir: plain });
      expect(bytesOf(join(folder.in(adapterInit), 'adapter'))).not.toEqual(bytesOf(join(plain, 'adapter')));
    },
  );

  it(
    'judges a chosen few ranks between steps and all at the end, and keeps the curve of the best rank in ' +
      'the report, also over a resume',
    async () => {
      const few = { ...common, evalRanks: [1, 4], evalSteps: 2, outputDir: folder.in('few') } as const;
      const controller = new AbortController();
      const stopped = finetune({ ...few, signal: controller.signal });
      await rejection(async () => {
        for await (const event of stopped) if (event.type === 'step' && event.step === 3) controller.abort();
      });
      const events = await run({ ...few, resumeFromCheckpoint: 'auto' });
      const all = await run({ ...common, evalSteps: 2, outputDir: folder.in('few-all') });
      const last = events.at(-1)!;
      const curve = (of: FinetuneEvent[]) => of.flatMap((event) => (event.type === 'eval' ? [event] : []));
      expect(curve(events).map(({ step, byRank }) => [step, byRank.map(({ rank }) => rank)])).toEqual([
        [4, [1, 4]],
        [6, [1, 4]],
      ]);
      if (last.type !== 'report') throw new Error('expected a report');
      expect(last.report.ranks.map(({ rank }) => rank)).toEqual([1, 2, 4]);
      expect(last.report.evaluations.map(({ step }) => step)).toEqual([2, 4, 6]);
      for (const [i, { byRank, bestRank, aurac }] of last.report.evaluations.entries()) {
        const whole = curve(all)[i].byRank;
        const [one, four] = [whole[0].loss, whole[2].loss];
        expect([byRank, bestRank]).toEqual([
          [
            { rank: 1, loss: one },
            { rank: 4, loss: four },
          ],
          one <= four ? 1 : 4,
        ]); // the same losses as among all ranks
        // two ranks: the mean of their gains
        expect(aurac).toBeCloseTo(last.report.base!.loss - (one + four) / 2, 12);
      }
      expect(JSON.parse(readFileSync(folder.in('few/report.json'), 'utf8'))).toMatchObject({
        evaluations: [{ step: 2 }, { step: 4 }, { step: 6 }],
        stopped_by: null,
      });
      expect(readFileSync(folder.in('few/report.html'), 'utf8')).toContain('Best rank:');
    },
  );

  it('says where every step has learning rate 0, as the only step of a warm-up has', async () => {
    const noticesOf = async (options: Partial<FinetuneOptions>): Promise<string> =>
      (await run({ ...common, ...options } as FinetuneOptions))
        .flatMap((event) => (event.type === 'notice' ? [event.message] : []))
        .join();
    expect(await noticesOf({ maxSteps: 1, outputDir: folder.in('no-rate') })).toMatch(
      /The only step has learning rate 0.*warmup_steps: 0/,
    );
    expect(await noticesOf({ maxSteps: 1, warmupSteps: 0, outputDir: folder.in('some-rate') })).not.toMatch(
      /learning rate 0/,
    );
    expect(await noticesOf({ maxSteps: 2, outputDir: folder.in('late-rate') })).not.toMatch(
      /learning rate 0|warm-up/,
    );
    expect(await noticesOf({ maxSteps: 2, warmupSteps: 100, outputDir: folder.in('slow-rate') })).toMatch(
      /warm-up of 100 steps is not over when the run of 2 steps ends/,
    );
    expect(
      await noticesOf({
        maxSteps: 2,
        warmupSteps: 1,
        lrScheduler: 'constant',
        outputDir: folder.in('flat-rate'),
      }),
    ).toMatch(/lr_scheduler constant has no warm-up, so warmup_steps 1 does nothing/);
    expect(
      await noticesOf({
        maxSteps: 2,
        warmupRatio: 0.5,
        lrScheduler: 'constant',
        outputDir: folder.in('flat-share'),
      }),
    ).toMatch(/lr_scheduler constant has no warm-up, so warmup_ratio 0\.5 does nothing/);
    expect(
      await noticesOf({ maxSteps: 2, lrScheduler: 'constant', outputDir: folder.in('flat-default') }),
    ).not.toMatch(/warm-up/);
    expect(
      await rejection(() =>
        noticesOf({ maxSteps: undefined, numEpochs: 1e300, outputDir: folder.in('no-end') }),
      ),
    ).toMatchObject({
      code: 'BAD_CONFIG',
      where: 'num_epochs',
      message: expect.stringMatching(/1e\+300 epochs .* are more than 2\^53 steps/) as string,
    });
  });

  it('says where val_set_size chooses only rows with nothing to predict', async () => {
    const dataset = folder.in('mostly-hollow.jsonl');
    // only the first thousand rows are tokenized before the choice
    const hollow = Array.from({ length: 1060 }, (_, i) => ({
      input_ids: [3 + (i % 60), 4, 5],
      labels: [-100, -100, -100],
    }));
    writeFileSync(
      dataset,
      [...hollow, { input_ids: [3, 4, 5] }, { input_ids: [6, 7, 8] }]
        .map((row) => JSON.stringify(row))
        .join('\n'),
    );
    const notices = (
      await run({
        ...common,
        dataset,
        streaming: true,
        valSetSize: 0.05,
        maxSteps: 1,
        outputDir: folder.in('hollow-held-out'),
      })
    )
      .flatMap((event) => (event.type === 'notice' ? [event.message] : []))
      .join();
    expect(notices).toMatch(
      /Nothing is held out: val_set_size 0\.05 chooses no row here that has something to predict/,
    );
  });

  it('stops early on one rank or on AURAC, and says so', async () => {
    for (const [name, earlyStopping] of [
      ['by-rank', 4],
      ['by-area', 'aurac'],
    ] as const) {
      const last = (
        await run({
          ...common,
          maxSteps: 40,
          wideRatio: 0,
          evalSteps: 1,
          saveSteps: 0,
          learningRate: 1e-9,
          earlyStopping,
          earlyStoppingPatience: 2,
          earlyStoppingMinDelta: 0.1,
          outputDir: folder.in(name),
        })
      ).at(-1)!;
      expect(
        last.type === 'report' && [last.report.steps, last.report.stoppedBy, last.report.evaluations.length],
      ).toEqual([3, 'early_stopping', 3]);
      expect(readdirSync(folder.in(`${name}/checkpoints`))).toEqual(['step-3']);
    }
  });

  it(
    'ends in the same bytes from streamed rows as from rows in memory, plainly, mixed by weights, packed ' +
      'and grouped by length, also when it is stopped and resumed',
    async () => {
      const mixed = {
        dataset: [rows, writeTinyRows(folder.in('more-rows.jsonl'), 5)],
        datasetWeights: [0.5, 2],
      };
      for (const [name, change] of Object.entries({
        plain: {},
        mixed,
        packed: { packing: true, maxSeqLength: 32 },
        grouped: { groupByLength: true },
      })) {
        const streamed = folder.in(`streamed-${name}`);
        const controller = new AbortController();
        const stopped = finetune({
          ...common,
          ...change,
          streaming: true,
          outputDir: streamed,
          signal: controller.signal,
        });
        await rejection(async () => {
          for await (const event of stopped)
            if (event.type === 'step' && event.step === 3) controller.abort();
        });
        await run({
          ...common,
          ...change,
          streaming: true,
          outputDir: streamed,
          resumeFromCheckpoint: 'auto',
        });
        await run({ ...common, ...change, streaming: false, outputDir: folder.in(`in-memory-${name}`) });
        expect(bytesOf(folder.in(`streamed-${name}/adapter`)), name).toEqual(
          bytesOf(folder.in(`in-memory-${name}/adapter`)),
        );
      }
    },
  );

  it('skips bad rows where asked, and says so', async () => {
    const odd = folder.in('odd-rows.jsonl');
    writeFileSync(odd, `{"input_ids":[1,\n${readFileSync(rows, 'utf8')}`);
    expect(
      await rejection(() => run({ ...common, dataset: odd, outputDir: folder.in('odd') })),
    ).toMatchObject({ code: 'BAD_DATA', where: `${odd}:1` });
    const events = await run({ ...common, dataset: odd, onBadRow: 'skip', outputDir: folder.in('odd') });
    const ready = events.find(({ type }) => type === 'ready');
    expect(ready?.type === 'ready' && ready.data.report.skipped).toBe(1);
    expect(events.flatMap((event) => (event.type === 'notice' ? [event.message] : [])).join('\n')).toMatch(
      /1 row could not be used and was skipped/,
    );
    const empty = folder.in('no-rows.jsonl');
    const noticesOf = (all: typeof events): string[] =>
      all.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    writeFileSync(empty, '');
    const { valSetSize: _, ...judged } = common;
    const also = await run({
      ...judged,
      dataset: [rows, rows, empty],
      evalDataset: [odd, rows],
      onBadRow: 'skip',
      outputDir: folder.in('told'),
    });
    expect(noticesOf(also)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^eval_dataset: .* is also in dataset/),
        `1 file has no rows and was skipped: ${empty}`,
        expect.stringMatching(/^These files are listed more than once.*\(2 times\)/),
        expect.stringMatching(/^eval_dataset: 1 row could not be used and was skipped/),
      ]),
    );
  });
});
