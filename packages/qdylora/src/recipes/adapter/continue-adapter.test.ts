import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { rejection, run, tinyRun } from '../../../test/tiny-run.ts';
import { evaluate, finishRank, quantizeFolder, type FinetuneOptions } from '../../index.ts';
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
        /stored in fp4 without double quantization, blocks of 128\. .*: full precision, as/,
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
