import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import type { RankScaling } from '@qdylora/lora-dynamic';
import { STATE_FILE } from '@qdylora/trainer';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { bytesOf, rejection, run, stepsIn, tinyRun } from '../../test/tiny-run.ts';
import { finishRank, type FinetuneEvent, type FinetuneResult, type FinishOptions } from '../index.ts';
import { rateShare, stepsOfShare } from './finish/finish-values.ts';

const { folder, common } = tinyRun();
const earlier = folder.in('run');

/** A finish of rank 2 of a run of six steps. */
async function finish(
  name: string,
  options: Partial<FinishOptions> = {},
): Promise<FinetuneResult & { readonly events: readonly FinetuneEvent[] }> {
  const events: FinetuneEvent[] = [];
  const finishing = finishRank({ run: earlier, rank: 2, outputDir: folder.in(name), ...options });
  for await (const event of finishing) events.push(event);
  return { ...(await finishing.result), events };
}

const lossesOf = (events: readonly FinetuneEvent[]) =>
  events.flatMap((event) => (event.type === 'eval' ? [[event.step, event.byRank] as const] : []));

describe('finishing one rank of a run', () => {
  beforeAll(async () => {
    await run({ ...common, loraScaling: 'constant', loraAlpha: 4, warmupSteps: 2, outputDir: earlier });
    // as of a run on two workers: a finish has one rank, and any number of workers
    const yaml = readFileSync(`${earlier}/run.yaml`, 'utf8');
    expect(yaml).toContain('max_rank_by_worker: null');
    writeFileSync(
      `${earlier}/run.yaml`,
      yaml.replace('max_rank_by_worker: null', 'max_rank_by_worker: [2, 4]'),
    );
  });

  it('takes ceil(share · steps) steps, also where the product is not exact', () => {
    expect([stepsOfShare(0.07, 100), stepsOfShare(0.1, 6), stepsOfShare(1, 7)]).toEqual([7, 1, 7]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1000 }), fc.integer({ min: 1, max: 100_000 }), (mille, steps) => {
        expect(stepsOfShare(mille / 1000, steps)).toBe(Number((BigInt(mille * steps) + 999n) / 1000n));
      }),
    );
  });

  it('peaks at a fifth of the learning rate, or more at small ranks under one scale', () => {
    const sharesUnder = (scaling: RankScaling): number[] =>
      [1, 4, 8, 64].map((rank) => rateShare(rank, scaling));
    expect(sharesUnder('uniform')).toEqual([0.5, 0.25, 0.2, 0.2]);
    expect(sharesUnder('tapered')).toEqual([0.2, 0.2, 0.2, 0.2]);
  });

  it("starts from exactly the slice's loss, and takes a share of the steps with the run's keys", async () => {
    const report = JSON.parse(readFileSync(`${earlier}/report.json`, 'utf8')) as {
      ranks: { rank: number; loss: number }[];
    };
    const { events, report: finished } = await finish('half', { share: 0.5, device: 0, workers: null });
    const { loss } = report.ranks.find(({ rank }) => rank === 2)!;
    expect(lossesOf(events)[0]).toEqual([0, [{ rank: 2, loss }]]);
    expect(lossesOf(events).map(([step]) => step)).toEqual([0, 3]);
    expect(stepsIn(folder.in('half'))).toEqual([1, 2, 3]);
    const ready = events.find(({ type }) => type === 'ready');
    expect(ready).toMatchObject({
      config: {
        ranks: [2],
        loraAlpha: 2, // 4 / 4 = 2 / 2
        loraScaling: 'constant',
        seed: 0,
        dataSeed: 1,
        learningRate: rateShare(2, 'constant') * common.learningRate,
        warmupSteps: 1,
      },
    });
    expect(finished.notes).toEqual([
      `The run starts from rank 2 of ${earlier}/adapter, which has the ranks 1, 2, 4.`,
      `The optimizer's moments start as in ${earlier}/checkpoints/step-6.`,
      expect.stringMatching(
        /^Held-out loss before the first step → after 3 steps: \d\.\d{3} → \d\.\d{3} at rank 2\.$/,
      ) as string,
    ]);
  });

  it('takes a tenth of the steps by default, and a fifth at rank 1', async () => {
    await finish('tenth', { rank: 2 });
    await finish('fifth', { rank: 1 });
    expect([stepsIn(folder.in('tenth')), stepsIn(folder.in('fifth'))]).toEqual([[1], [1, 2]]);
  });

  it('takes what its caller says before what the run says', async () => {
    const { events } = await finish('own-keys', { maxSteps: 2, learningRate: 1e-3, dataSeed: 9 });
    expect(events.find(({ type }) => type === 'ready')).toMatchObject({
      config: { maxSteps: 2, learningRate: 1e-3, dataSeed: 9 },
    });
  });

  it('of an interrupted finish resumes in the same bytes', async () => {
    const controller = new AbortController();
    const onStep = ({ step }: { step: number }): void => {
      if (step === 2) controller.abort();
    };
    await rejection(() => finish('stopped', { share: 1, signal: controller.signal, onStep }));
    const { events } = await finish('stopped', { share: 1, resumeFromCheckpoint: 'auto' });
    await finish('whole', { share: 1 });
    expect(lossesOf(events).map(([step]) => step)).toEqual([6]);
    expect(bytesOf(folder.in('stopped/adapter'))).toEqual(bytesOf(folder.in('whole/adapter')));
  });

  it('is the same as training the adapter at that rank alone', async () => {
    const { seed: _, ...keys } = { seed: 0, ...common };
    const events = await run({
      ...keys,
      ranks: [2],
      adapter: `${earlier}/adapter`,
      optimizerState: `${earlier}/checkpoints/step-6`,
      learningRate: rateShare(2, 'constant') * common.learningRate,
      dataSeed: 1,
      warmupSteps: 2,
      outputDir: folder.in('train-slice'),
    });
    expect(lossesOf(events)[0]![0]).toBe(0);
    expect(bytesOf(folder.in('train-slice/adapter'))).toEqual(bytesOf(folder.in('whole/adapter')));
  });

  it('starts its moments at 0 where those of the run are gone, or of another optimizer', async () => {
    const momentsOf = async (name: string, options: Partial<FinishOptions>) => {
      const { report } = await finish(name, { share: 1, ...options });
      return report.notes.find((note) => note.includes('moments'));
    };
    expect(await momentsOf('other optimizer', { optimizer: 'sgd' })).toMatch(/moments start at 0\.$/);
    expect(await momentsOf('paged', { optimizer: 'paged_adamw_32bit' })).toMatch(/start as in .*step-6\.$/);
    const pruned = folder.in('pruned');
    cpSync(earlier, pruned, { recursive: true });
    rmSync(`${pruned}/checkpoints`, { recursive: true });
    expect(await momentsOf('without checkpoints', { run: pruned })).toMatch(/moments start at 0\.$/);
    expect(bytesOf(folder.in('without checkpoints/adapter'))).not.toEqual(
      bytesOf(folder.in('whole/adapter')),
    );
  });

  it('keeps the rates that the rows had, or takes those of a run of one rank', async () => {
    const nested = folder.in('uniform');
    await run({ ...common, maxSteps: 2, outputDir: nested });
    const ratesOf = async (name: string, options: Partial<FinishOptions> = {}) => {
      const { events } = await finish(name, { run: nested, share: 1, ...options });
      const { config } = events.find(({ type }) => type === 'ready') as { config: object };
      return config;
    };
    expect(await ratesOf('nested rates')).toMatchObject({ rankRates: 'steep', rateRanks: [1, 2, 4] });
    const dedicated = { rankRates: 'inverse_sqrt', rateRanks: [2] } as const;
    expect(await ratesOf('dedicated rates', dedicated)).toMatchObject(dedicated);
    const again = await ratesOf('again', { run: folder.in('nested rates') });
    expect(again).toMatchObject({ rankRates: 'steep', rateRanks: [1, 2, 4] });
    const bytes = ['nested rates', 'dedicated rates'].map((name) => bytesOf(folder.in(`${name}/adapter`)));
    expect(bytes[0]).not.toEqual(bytes[1]);
  });

  it('shrinks the steps of a schedule whose run ended early to those of the finish', async () => {
    const stopped = folder.in('stopped early');
    const epochs = folder.in('stopped epochs');
    for (const [outputDir, maxSteps] of [
      [stopped, 6],
      [epochs, null],
    ] as const)
      await run({
        ...common,
        maxSteps,
        lrScheduler: 'warmup_stable_decay',
        lrNumDecaySteps: 3,
        outputDir,
        onStep: ({ step }) => (step === 2 ? 'stop' : undefined),
      });
    for (const earlier of [stopped, epochs])
      for (const [options, steps] of [
        [{ share: 0.5 }, 1],
        [{ maxSteps: 2 }, 2],
      ] as const) {
        const name = `of ${basename(earlier)}, ${steps} steps`;
        const { events } = await finish(name, { run: earlier, ...options });
        const ready = events.find(({ type }) => type === 'ready') as { config: { lrNumDecaySteps: number } };
        expect(ready.config).toMatchObject({ maxSteps: steps });
        expect(ready.config.lrNumDecaySteps).toBeLessThanOrEqual(steps);
      }
  });

  it('says what is wrong, and what to do', async () => {
    const errorOf = async (options: Partial<FinishOptions>) =>
      (await rejection(() => finish('no', options))).message;
    const inFolder = (name: string, files: Record<string, string>): string => {
      mkdirSync(folder.in(name));
      for (const [file, text] of Object.entries(files)) writeFileSync(folder.in(`${name}/${file}`), text);
      return folder.in(name);
    };
    const yaml = readFileSync(`${earlier}/run.yaml`, 'utf8');
    expect(await errorOf({ run: folder.in('nowhere') })).toMatch(/^\[run\] There is no .*nowhere\. Name the/);
    expect(await errorOf({ run: inFolder('empty', {}) })).toMatch(
      /is not the folder of a run: it has no run\.yaml/,
    );
    expect(await errorOf({ run: inFolder('full', { 'run.yaml': 'method: none' }) })).toMatch(
      /full trained a whole model \(method none\), so it has no adapter with ranks/,
    );
    expect(await errorOf({ run: inFolder('begun', { 'run.yaml': yaml }) })).toMatch(
      /The run has not ended: there is no .*adapter\. Continue it first: .* train .*run\.yaml --resume/,
    );
    expect(await errorOf({ rank: 3 })).toMatch(/did not train rank 3: its ranks are 1, 2, 4\. Choose one/);
    expect(await errorOf({ rank: 8 })).toMatch(/did not train rank 8: its ranks are 1, 2, 4/);
    expect(await errorOf({ share: 2 })).toMatch(/`share` must be a number > 0 and ≤ 1 \(got 2\)/);
    expect(await errorOf({ numEpochs: 2 })).toMatch(/`numEpochs` is not possible in a finish\. Its length/);
    expect(await errorOf({ share: 0.5, maxSteps: 2 })).toMatch(/`share` has no effect beside `maxSteps`/);
    expect(await errorOf({ optimizerState: folder.in('empty') })).toMatch(
      /^\[optimizer_state\] There is no optimizer\.safetensors in .*empty\. Name a folder of checkpoints\//,
    );
    expect(await errorOf({ outputDir: `${earlier}/.` })).toMatch(
      /is the folder of the run itself, which stays as it is\. Choose another folder, such as .*-r2-finished/,
    );
    const damaged = folder.in('damaged');
    cpSync(earlier, damaged, { recursive: true });
    for (const state of ['{"config', 'null']) {
      writeFileSync(`${damaged}/checkpoints/step-6/${STATE_FILE}`, state);
      expect(await errorOf({ run: damaged })).toMatch(
        /step-6\/.*\.json\] The state of the checkpoint is damaged\. Delete .*step-6: .* start at 0/,
      );
    }
    renameSync(common.model, folder.in('moved'));
    expect(await errorOf({})).toMatch(/The base model of .*run is no longer at .*model\. .*: --model path/);
    expect((await finish('moved-model', { model: folder.in('moved') })).report.steps).toBe(1);
  });
});
