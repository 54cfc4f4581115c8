import { join } from 'node:path';
import { readPeftAdapter, writePeftAdapter } from '@qdylora/checkpoint';
import { beforeAll, describe, expect, it } from 'vitest';
import { rejection, run, tinyRun } from '../../../test/tiny-run.ts';
import { evaluate, exportAdapter, finishRank, quantizeFolder, type FinetuneOptions } from '../../index.ts';
import { readAdapter } from './read-adapter.ts';

const { folder, model, common, judged } = tinyRun();
const first = folder.in('first');
const adapter = join(first, 'adapter');

beforeAll(async () => {
  await run({ ...common, outputDir: first, targetModules: ['q_proj', 'v_proj'] });
});

/** What a run says, and the settings that it trains with. */
async function outcomeOf(name: string, changes: Partial<FinetuneOptions>) {
  const { ranks: _, quantization: __, ...options } = common;
  const events = await run({ ...options, maxSteps: 1, outputDir: folder.in(name), ...changes });
  const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
  const ready = events.find((event) => event.type === 'ready');
  if (ready?.type !== 'ready') throw new Error('expected to be ready');
  return { notices, config: ready.config };
}

it('a run says where its target_modules match a head or an embedding, which get no adapter', async () => {
  const both = await outcomeOf('head', { targetModules: '.*(q_proj|lm_head|embed_tokens)' });
  expect(both.notices.join('\n')).toMatch(/also matches lm_head and model\.embed_tokens\. The head and/);
  for (const targetModules of ['.*q_proj', 'all-linear']) {
    const { notices } = await outcomeOf(`no ${targetModules.length}`, { targetModules });
    expect(notices.join('\n')).not.toMatch(/also matches/);
  }
});

describe('a run that starts from an adapter', () => {
  it('trains the layers of the adapter, on a base that is stored as it was', async () => {
    const { config, notices } = await outcomeOf('further', { adapter });
    const expected = { targetModules: ['q_proj', 'v_proj'], quantization: 'none' };
    expect(config).toMatchObject(expected);
    expect(notices.join('\n')).not.toMatch(/lora_alpha|stored in/);
    // wider ones, as the run files of earlier runs have them
    const { config: narrowed } = await outcomeOf('all', { adapter, targetModules: 'all-linear' });
    expect(narrowed).toMatchObject(expected);
  });

  it('refuses other layers, also in a finish', async () => {
    const refused = {
      code: 'BAD_CONFIG',
      message: /are not the layers of .*: q_proj, v_proj\. Leave it out/,
    };
    for (const targetModules of ['no_such_layer', ['q_proj'], ['q_proj', 'v_proj', 'up_proj']])
      expect(await rejection(() => outcomeOf('never', { adapter, targetModules }))).toMatchObject({
        ...refused,
        message: expect.stringMatching(refused.message) as string,
      });
    const finish = { run: first, rank: 2, outputDir: folder.in('never'), targetModules: ['q_proj'] };
    expect((await rejection(() => finishRank(finish).result)).message).toMatch(refused.message);
  });

  it('says where its alpha or scaling changes what the adapter computes', async () => {
    for (const changes of [{ loraAlpha: 16 }, { loraScaling: 'constant' as const }]) {
      const { notices } = await outcomeOf(JSON.stringify(changes), { adapter, ...changes });
      expect(notices.join('\n')).toMatch(
        /its scale at rank \d was \S+ and is \S+, so it starts from another/,
      );
    }
  });

  it('takes over its dropout, and writes its own', async () => {
    await outcomeOf('dropped', { adapter, loraDropout: 0.25 });
    const dropped = join(folder.in('dropped'), 'adapter');
    const { config } = await outcomeOf('dropped further', { adapter: dropped });
    expect(config.loraDropout).toBe(0.25);
    const further = join(folder.in('dropped further'), 'adapter');
    const outputDir = folder.in('dropped at rank 2');
    await exportAdapter({ adapter: further, rank: 2, outputDir });
    expect(readAdapter(outputDir).dropout).toBe(0.25);
    const { config: chosen } = await outcomeOf('none dropped', { adapter: dropped, loraDropout: 0 });
    expect(chosen.loraDropout).toBe(0);
  });

  it('says where layers have a scale of their own, and an evaluation does not', async () => {
    const { layers, config } = readPeftAdapter(adapter);
    const name = [...layers.keys()].find((layer) => layer.endsWith('q_proj'))!;
    const patterned = folder.in('patterned');
    await writePeftAdapter(patterned, {
      layers: [...layers].map(([layer, { a, b }]) => ({ name: layer, a, b })),
      rank: config.r,
      loraAlpha: config.loraAlpha,
      alphaPattern: { [name]: 2 * config.loraAlpha },
    });
    const own = /1 of \d+ layers \(.*q_proj, …\) have a scale of their own/;
    expect((await outcomeOf('patterned further', { adapter: patterned })).notices.join('\n')).toMatch(own);
    const judgedNotices: string[] = [];
    const onNotice = (message: string): unknown => judgedNotices.push(message);
    await evaluate({ ...judged, adapter: patterned, onNotice });
    expect(judgedNotices.join('\n')).not.toMatch(own);
  });
});

describe('a base that is stored in 4 bits', () => {
  const stored = folder.in('fp4');
  beforeAll(async () => {
    const options = { quantization: 'fp4', quantizationBlockSize: 128, doubleQuantization: false } as const;
    await quantizeFolder({ model, outputDir: stored, backend: 'host', ...options });
  });

  it('is what a run trains on and records, whatever it was asked for', async () => {
    const { config, notices } = await outcomeOf('on fp4', { model: stored, method: 'dylora' });
    const fp4 = { quantization: 'fp4', doubleQuantization: false, quantizationBlockSize: 128 };
    expect(config).toMatchObject({ ...fp4, method: 'qdylora' });
    expect(notices).toContainEqual(
      expect.stringMatching(
        /stored in fp4 without double quantization, blocks of 128 and are used as they are: full precision/,
      ),
    );
    const trained = join(folder.in('on fp4'), 'adapter');
    expect(readAdapter(trained).sidecar!.base).toMatchObject({
      quantization: 'fp4',
      double_quantization: false,
      quantization_block_size: 128,
    });
    // so the original is quantized in the same way, and is the same base
    const lossesOn = async (base: string): Promise<number[]> => {
      const { backend, dataset } = judged;
      const { results } = await evaluate({ model: base, backend, dataset, adapter: trained });
      return results.map(({ loss }) => loss);
    };
    expect(await lossesOn(model)).toEqual(await lossesOn(stored));
  });
});
