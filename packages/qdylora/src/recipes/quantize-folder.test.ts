import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint, openSafetensors, tensorOf, writeSafetensors } from '@qdylora/checkpoint';
import { describe, expect, it } from 'vitest';
import { bytesOf, rejection, tinyRun } from '../../test/tiny-run.ts';
import { evaluate, quantizeFolder } from '../index.ts';

const { folder, model, judged } = tinyRun();

describe('quantizeFolder', () => {
  it('writes what an evaluation of the quantized original says', async () => {
    const { layers } = await quantizeFolder({ model, outputDir: folder.in('nf4'), backend: 'host' });
    const packed = await evaluate({ ...judged, model: folder.in('nf4'), quantization: 'nf4' });
    const original = await evaluate({ ...judged, quantization: 'nf4' });
    expect([layers, packed.results]).toEqual([7, original.results]);
    using file = openSafetensors(folder.in('nf4/model.safetensors'));
    expect([...file.tensors.keys()]).toContain(
      'model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4',
    );
  });

  it(
    'goes on after the last finished file when it was stopped, and writes the same bytes, in files with ' +
      'an index',
    async () => {
      const whole = folder.in('nf4-shards');
      const again = folder.in('nf4-again');
      const options = { model, backend: 'host', shardBytes: 3000 } as const;
      const controller = new AbortController();
      await quantizeFolder({ ...options, outputDir: whole });
      await rejection(() =>
        quantizeFolder({
          ...options,
          outputDir: again,
          signal: controller.signal,
          onProgress: ({ done }) => {
            if (done === 4) controller.abort();
          },
        }),
      );
      const left = readdirSync(`${again}.partial`).filter((name) => name.startsWith('shard-'));
      expect([left.length > 0, existsSync(again)]).toEqual([true, false]);
      const times = left.map((name) => statSync(join(`${again}.partial`, name)).mtimeMs);
      const doneCounts: number[] = [];
      await quantizeFolder({ ...options, outputDir: again, onProgress: ({ done }) => doneCounts.push(done) });
      expect(bytesOf(again)).toEqual(bytesOf(whole));
      expect([existsSync(`${again}.partial`), doneCounts.at(-1), readdirSync(again).length > 4]).toEqual([
        false,
        7,
        true,
      ]);
      const writeTimes = readdirSync(again)
        .filter((name) => name.endsWith('.safetensors'))
        .map((name) => statSync(join(again, name)).mtimeMs);
      for (const time of times) expect(writeTimes).toContain(time); // these were not made again
      const { results } = await evaluate({ ...judged, model: again, quantization: 'nf4' });
      expect(results).toEqual((await evaluate({ ...judged, quantization: 'nf4' })).results);
    },
  );

  it('begins anew for other settings, and leaves a folder of somebody else alone', async () => {
    const outputDir = folder.in('nf4-other');
    const controller = new AbortController();
    const options = { model, backend: 'host', shardBytes: 3000, outputDir } as const;
    await rejection(() =>
      quantizeFolder({
        ...options,
        signal: controller.signal,
        onProgress: ({ done }) => {
          if (done === 4) controller.abort();
        },
      }),
    );
    await quantizeFolder({ ...options, quantization: 'fp4' });
    using checkpoint = await openCheckpoint(outputDir);
    expect([...checkpoint.tensors.keys()].filter((name) => name.endsWith('__fp4')).length).toBe(7);
    mkdirSync(`${folder.in('taken')}.partial`);
    writeFileSync(`${folder.in('taken')}.partial/notes.txt`, 'mine');
    expect((await rejection(() => quantizeFolder({ ...options, outputDir: folder.in('taken') }))).code).toBe(
      'NOT_EMPTY',
    );
  });

  it('takes a slash after its folder, and a work folder that a kill left before its first file', async () => {
    const place = `${folder.in('slash')}.partial`;
    mkdirSync(place);
    writeFileSync(join(place, `work.json.tmp-${2 ** 30}-0123456789ab`), '');
    await quantizeFolder({ model, backend: 'host', outputDir: `${folder.in('slash')}/` });
    expect([existsSync(folder.in('slash/model.safetensors')), existsSync(place)]).toEqual([true, false]);
  });

  it('a folder that is there is refused before anything is packed', async () => {
    const outputDir = folder.in('nf4-there');
    mkdirSync(outputDir);
    writeFileSync(join(outputDir, 'notes.txt'), 'mine');
    let packed = 0;
    expect(
      (
        await rejection(() =>
          quantizeFolder({
            model,
            backend: 'host',
            outputDir,
            onProgress: () => {
              packed++;
            },
          }),
        )
      ).code,
    ).toBe('NOT_EMPTY');
    expect([packed, existsSync(`${outputDir}.partial`), readdirSync(outputDir)]).toEqual([
      0,
      false,
      ['notes.txt'],
    ]);
  });

  it('takes a model by the name of its file', async () => {
    await quantizeFolder({
      model: join(model, 'model.safetensors'),
      outputDir: folder.in('nf4-of-file'),
      backend: 'host',
    });
    expect(readdirSync(folder.in('nf4-of-file'))).toEqual(readdirSync(folder.in('nf4')));
  });

  it('is the only one that works on an unfinished model', async () => {
    const options = { model, backend: 'host', outputDir: folder.in('nf4-two'), shardBytes: 3000 } as const;
    let second: Promise<string> | null = null;
    await quantizeFolder({
      ...options,
      onProgress: () => {
        second ??= rejection(() => quantizeFolder({ ...options, quantization: 'fp4' })).then(
          ({ code }) => code,
        );
      },
    });
    expect(await second).toBe('BUSY_FOLDER');
  });

  it('refuses a model that is quantized already', async () => {
    expect(
      (
        await rejection(() =>
          quantizeFolder({ model: folder.in('nf4'), outputDir: folder.in('again'), backend: 'host' }),
        )
      ).code,
    ).toBe('UNSUPPORTED');
  });

  it('refuses it also where only its tensors say so', async () => {
    const silent = folder.in('nf4-silent');
    cpSync(folder.in('nf4'), silent, { recursive: true });
    const config = JSON.parse(readFileSync(join(silent, 'config.json'), 'utf8')) as object;
    writeFileSync(join(silent, 'config.json'), JSON.stringify({ ...config, quantization_config: undefined }));
    await expect(
      quantizeFolder({ model: silent, outputDir: folder.in('again'), backend: 'host' }),
    ).rejects.toThrow('The model must be in full precision, but bitsandbytes has already quantized it.');
  });

  it('names the weight that is not finite', async () => {
    const broken = folder.in('broken');
    cpSync(model, broken, { recursive: true });
    using file = openSafetensors(join(model, 'model.safetensors'));
    const name = 'model.layers.0.mlp.up_proj.weight';
    writeSafetensors(
      join(broken, 'model.safetensors'),
      [...file.tensors.values()].map((entry) => {
        const values = entry.readFloat32();
        return tensorOf(entry.name, entry.shape, entry.name === name ? values.fill(NaN, 7, 8) : values);
      }),
    );
    const error = await rejection(() =>
      quantizeFolder({ model: broken, outputDir: folder.in('nf4-broken'), backend: 'host' }),
    );
    expect([error.code, error.where, error.details.index]).toEqual(['NON_FINITE', name, 7]);
  });
});
