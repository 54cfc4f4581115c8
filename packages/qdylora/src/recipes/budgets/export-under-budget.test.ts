import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { addAdapterInPlace, sliceRank, truncateBySvd, type SlicedLayer } from '@qdylora/lora-dynamic';
import { beforeAll, describe, expect, it } from 'vitest';
import { rejection, run, tinyRun } from '../../../test/tiny-run.ts';
import { evaluate, exportAdapter } from '../../index.ts';
import { valuesOfFlags } from '../../config/explicit-values.ts';
import { exportFrom } from '../export-adapter.ts';
import { readAdapter } from '../adapter/read-adapter.ts';
import { inspectAdapter } from '../inspect-adapter.ts';

const { folder, rows, model, common, judged } = tinyRun();
const adapter = join(folder.in('run'), 'adapter');

beforeAll(async () => {
  await run({ ...common, outputDir: folder.in('run') });
});

const lossOf = async (path: string, rank?: number): Promise<number> => {
  const options = { ...judged, adapter: path, ranks: rank === undefined ? ('all' as const) : [rank] };
  return (await evaluate(options)).results[0].loss;
};

/** What a layer of an adapter adds to its weight: [out, in] */
const productOf = (layer: SlicedLayer, scale: number): Float32Array =>
  addAdapterInPlace(new Float32Array(layer.outFeatures * layer.inFeatures), layer, scale);

describe('an adapter under a budget', () => {
  it('has the losses of the whole adapter where the budget holds all of it', async () => {
    const outputDir = folder.in('whole');
    const { bytes, rank } = await exportAdapter({ adapter, budget: 1e6, model, dataset: rows, outputDir });
    expect(rank).toBe(4);
    expect(bytes).toBeLessThan(1e6);
    expect(await lossOf(outputDir)).toBeCloseTo(await lossOf(adapter, 4), 5);
  });

  it('is not written where its choice is interrupted', async () => {
    const outputDir = folder.in('interrupted');
    const explicit = valuesOfFlags({ adapter, budget: '1MB', model, dataset: rows, outputDir });
    await expect(exportFrom(explicit, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    });
    expect(existsSync(outputDir)).toBe(false);
  });

  it('stops while it reads rows', async () => {
    const outputDir = folder.in('stopped');
    const explicit = valuesOfFlags({ adapter, budget: '1MB', model, dataset: rows, outputDir });
    // rows are the first that is read in pieces
    const hooks = { signal: AbortSignal.abort() };
    await expect(exportFrom(explicit, hooks)).rejects.toThrow(/aborted while rows were read/);
  });

  it('stays within its bytes, keeps more of the gain than of them, and the prompt of the run', async () => {
    const outputDir = folder.in('small');
    const whole = readAdapter(adapter).state.layers.reduce(
      (sum, { a, b }) => sum + 4 * (a.length + b.length),
      0,
    );
    const budget = Math.round(0.7 * whole);
    const exported = await exportAdapter({ adapter, budget, model, dataset: rows, outputDir });
    expect(exported.bytes).toBeLessThanOrEqual(budget);
    expect(exported.bytes).toBeGreaterThan(0.8 * budget);
    const config = JSON.parse(readFileSync(join(outputDir, 'adapter_config.json'), 'utf8')) as {
      readonly r: number;
      readonly lora_alpha: number;
      readonly rank_pattern: Record<string, number>;
      readonly alpha_pattern: Record<string, number>;
    };
    expect(config.lora_alpha).toBe(config.r);
    expect(config.alpha_pattern).toEqual(config.rank_pattern);
    expect(statSync(join(outputDir, 'qdylora.json')).size).toBeGreaterThan(0);
    expect(readAdapter(outputDir).sidecar!.prompt).toEqual(readAdapter(adapter).sidecar!.prompt);
    const base = (await evaluate(judged)).results[0].loss;
    const small = await lossOf(outputDir);
    const full = await lossOf(adapter, 4);
    expect(small).toBeLessThan(base);
    expect(base - small).toBeGreaterThan(0.7 * (base - full));
  });

  it('is not worse on its rows than a trained rank of as many bytes', async () => {
    const state = readAdapter(adapter).state;
    for (const rank of [1, 2]) {
      const budget = state.layers.reduce(
        (sum, { inFeatures, outFeatures }) => sum + 4 * rank * (inFeatures + outFeatures),
        0,
      );
      const outputDir = folder.in(`bytes of rank ${rank}`);
      await exportAdapter({ adapter, budget, model, dataset: rows, outputDir });
      expect(await lossOf(outputDir)).toBeLessThanOrEqual((await lossOf(adapter, rank)) + 1e-5);
    }
  });

  it('sorts the rows of an adapter of one rank', async () => {
    await run({ ...common, ranks: [4], outputDir: folder.in('one') });
    const one = join(folder.in('one'), 'adapter');
    const cutTo = async (budget: number): Promise<number> => {
      const outputDir = folder.in(`one ${budget}`);
      await exportAdapter({ adapter: one, budget, model, dataset: rows, outputDir });
      return lossOf(outputDir);
    };
    const whole = readAdapter(one).state.layers.reduce((sum, { a, b }) => sum + 4 * (a.length + b.length), 0);
    const base = (await evaluate(judged)).results[0].loss;
    const full = await lossOf(one, 4);
    expect(await cutTo(1e6)).toBeCloseTo(full, 5);
    expect(base - (await cutTo(Math.round(whole / 3)))).toBeGreaterThan((base - full) / 3);
  });

  it.each(['sqrt', 'paper'] as const)(
    'of one rank and scaling %s is the best approximation of its ranks',
    async (loraScaling) => {
      const runDir = folder.in(`run ${loraScaling}`);
      await run({ ...common, ranks: [4], loraScaling, outputDir: runDir });
      const { state } = readAdapter(join(runDir, 'adapter'));
      const budget = state.layers.reduce((sum, { a, b }) => sum + 2 * (a.length + b.length), 0);
      const outputDir = folder.in(`half ${loraScaling}`);
      const options = { adapter: join(runDir, 'adapter'), budget, model, dataset: rows, outputDir };
      const { smallestRank } = await exportAdapter(options);
      expect(smallestRank).toBeLessThan(4);
      const { state: cut, layerRanks } = readAdapter(outputDir);
      const whole = sliceRank(cut, cut.maxRank);
      for (const layer of whole.layers) {
        const best = truncateBySvd(state, layerRanks?.get(layer.name) ?? cut.maxRank);
        const want = productOf(
          best.layers.find(({ name }) => name === layer.name)!,
          best.scale,
        );
        const got = productOf(layer, whole.scale);
        const largest = Math.max(...want.map(Math.abs));
        // sums of float32 numbers that were rounded a few times
        for (const [i, value] of got.entries())
          expect(Math.abs(value - want[i])).toBeLessThanOrEqual(1e-5 * largest);
      }
    },
  );

  it('refuses an adapter that was never trained by its name', async () => {
    await run({ ...common, learningRate: 1e-200, ranks: [4], outputDir: folder.in('untrained') });
    const untrained = join(folder.in('untrained'), 'adapter');
    const outputDir = folder.in('nothing left');
    for (const budget of [600, 1e6])
      expect(
        await rejection(() => exportAdapter({ adapter: untrained, budget, model, dataset: rows, outputDir })),
      ).toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/it was not trained/) as string,
      });
  });

  it('is refused before a model is opened where its folder is there already', async () => {
    const outputDir = folder.in('run');
    const missing = folder.in('no model');
    const error = await rejection(() =>
      exportAdapter({ adapter, budget: 1e6, model: missing, dataset: rows, outputDir }),
    );
    expect(error.code).toBe('NOT_EMPTY');
  });

  it('says what it is: the rank of each layer, and only the numbers that it has', async () => {
    const outputDir = folder.in('looked at');
    const { bytes, rank, smallestRank } = await exportAdapter({
      adapter,
      budget: 640 * 4,
      model,
      dataset: rows,
      outputDir,
    });
    const { layerRanks, parameters } = inspectAdapter(outputDir);
    expect(parameters).toBe(bytes / 4);
    const different = Object.values(layerRanks!);
    expect([Math.min(...different), Math.max(...different)]).toEqual([smallestRank, rank]);
    expect(smallestRank).toBeLessThan(rank);
    expect(inspectAdapter(adapter).layerRanks).toBeNull();
  });

  it('says what it needs, and what has no effect with it', async () => {
    const outputDir = folder.in('none');
    const refused = (options: object): Promise<Error> =>
      rejection(() => exportAdapter({ adapter, budget: 1e6, outputDir, model, dataset: rows, ...options }));
    expect((await refused({ model: undefined })).message).toMatch(/base model/);
    expect((await refused({ dataset: undefined })).message).toMatch(/--dataset/);
    expect((await refused({ rank: 2 })).message).toMatch(/`rank` has no effect with `budget`/);
    expect((await refused({ format: 'gguf' })).message).toMatch(
      /`budget` gives each layer its own rank, and an adapter in GGUF has one/,
    );
    const flags = valuesOfFlags({ adapter, budget: '1MB', rank: 2, outputDir });
    expect((await rejection(() => exportFrom(flags))).message).toBe(
      '[command line] `--rank` has no effect with `--budget`, which gives each layer its own rank. ' +
        'Leave one of them out.',
    );
    // before a model is opened
    expect((await refused({ budget: 1, model: folder.in('no model') })).message).toMatch(
      /A budget is 1 B, but the smallest row of an adapter takes \d+ B\. .*choose a size below it, or a rank/,
    );
    expect((await refused({ budget: undefined })).message).toMatch(
      /`dataset` is only for `budget`, which is not set/,
    );
  });
});
