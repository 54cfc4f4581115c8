import { cpSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { rejection, run, tinyRun } from '../../test/tiny-run.ts';
import { evaluate, exportAdapter } from '../index.ts';
import { readAdapter } from './adapter/read-adapter.ts';

const { folder, model, common, judged } = tinyRun();
const adapter = folder.in('run/adapter');

beforeAll(async () => {
  await run({ ...common, ranks: [4], maxSteps: 2, outputDir: folder.in('run') });
});

describe('a smaller rank of an adapter of one rank', () => {
  it('is refused, since its rows have no order', async () => {
    for (const take of [
      () => exportAdapter({ adapter, rank: 2, outputDir: folder.in('never') }),
      () => evaluate({ ...judged, adapter, ranks: [2] }),
    ])
      expect(await rejection(take)).toMatchObject({
        code: 'BAD_ADAPTER',
        message: expect.stringMatching(/has rank 4 only, so it has no rank 2\..*with --svd\.$/),
      });
  });

  it('is approximated with svd, also in an adapter of PEFT', async () => {
    const foreign = folder.in('foreign');
    cpSync(adapter, foreign, { recursive: true });
    for (const name of ['qdylora.json', 'manifest.json']) rmSync(`${foreign}/${name}`);
    const [ours, theirs] = await Promise.all(
      [adapter, foreign].map(async (from) => {
        const outputDir = `${from}-svd`;
        await exportAdapter({ adapter: from, rank: 2, svd: true, outputDir });
        return readAdapter(outputDir).state;
      }),
    );
    expect(ours!.maxRank).toBe(2);
    expect(theirs!.layers).toEqual(ours!.layers);
    const tooLarge = { adapter: foreign, rank: 5, svd: true, outputDir: folder.in('never') };
    expect((await rejection(() => exportAdapter(tooLarge))).code).toBe('BAD_ARGUMENT');
  });
});

describe('a GGUF adapter for a base on the hub', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it('needs its config.json, and downloads no weights', async () => {
    const config = readFileSync(`${model}/config.json`);
    const blobId = createHash('sha1').update(`blob ${config.length}\0`).update(config).digest('hex');
    const siblings = [
      { rfilename: 'config.json', size: config.length, blobId },
      { rfilename: 'model.safetensors', size: 1000, blobId: 'a'.repeat(40) },
    ];
    const requested: string[] = [];
    const server = createServer((request, response) => {
      requested.push(request.url!);
      const listing = JSON.stringify({ sha: 'c'.repeat(40), siblings });
      response.end(request.url!.endsWith('/config.json') ? config : listing);
    });
    await new Promise<void>((done) => {
      server.listen(0, done);
    });
    onTestFinished(() => void server.close());
    vi.stubEnv('HF_HOME', folder.in('home'));
    vi.stubEnv('HF_ENDPOINT', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const options = { adapter, format: 'gguf', model: 'org/tiny' } as const;
    await exportAdapter({ ...options, outputDir: folder.in('from-hub') });
    await exportAdapter({ ...options, model, outputDir: folder.in('from-folder') });
    const [fromHub, fromFolder] = ['from-hub', 'from-folder'].map((name) =>
      readFileSync(folder.in(`${name}/adapter.gguf`)),
    );
    expect(fromHub).toEqual(fromFolder);
    expect(requested.some((url) => url.endsWith('safetensors'))).toBe(false);
  });
});
