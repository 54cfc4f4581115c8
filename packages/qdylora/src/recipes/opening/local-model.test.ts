import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createHash } from 'node:crypto';
import { openCheckpoint } from '@qdylora/checkpoint';
import { afterAll, describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel } from '../../../test/tiny-model.ts';
import { hubSettings } from '../../config/hub-settings.ts';
import { localModel } from './local-model.ts';

const folder = temporaryPlace();
const model = writeTinyModel(folder.in('model'));
const files = Object.fromEntries(
  ['config.json', 'model.safetensors'].map((name) => [name, readFileSync(`${model}/${name}`)]),
);
const server = createServer((request, response) => {
  const name = request.url!.split('/').at(-1)!;
  const content = files[name];
  if (content) response.end(content);
  else
    response.end(
      JSON.stringify({
        sha: 'c'.repeat(40),
        siblings: Object.entries(files).map(([rfilename, bytes]) => ({
          rfilename,
          size: bytes.length,
          blobId: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
        })),
      }),
    );
});
await new Promise<void>((done) => {
  server.listen(0, done);
});
afterAll(() => {
  server.close();
});
const env = {
  HF_HOME: folder.in('home'),
  HF_ENDPOINT: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
};

describe('localModel', () => {
  it('leaves paths alone, also one that looks like a name on the hub', async () => {
    mkdirSync(folder.in('org/name'), { recursive: true });
    expect(await localModel(model, { env })).toBe(model);
    expect(await localModel('nowhere.gguf', { env })).toBe('nowhere.gguf');
  });

  it('downloads a name on the hub into HF_HOME, and then needs no server', async () => {
    const path = await localModel('org/tiny', { env });
    expect(path).toBe(folder.in(`home/hub/models--org--tiny/snapshots/${'c'.repeat(40)}`));
    using checkpoint = await openCheckpoint(path);
    expect([checkpoint.name, checkpoint.config.modelType]).toEqual(['org/tiny', 'llama']);
    expect(
      await localModel('org/tiny', {
        env: { ...env, HF_ENDPOINT: 'http://127.0.0.1:9', HF_HUB_OFFLINE: '1' },
      }),
    ).toBe(path);
    await expect(localModel('org/other', { env: { ...env, HF_HUB_OFFLINE: '1' } })).rejects.toThrow(
      /There is no folder org\/other here.*HF_HUB_OFFLINE.*there is none in .*models--org--other/,
    );
  });
});

describe('hubSettings', () => {
  it("mean what Hugging Face's own libraries mean by them", () => {
    expect(
      hubSettings({
        HF_HOME: '/h',
        HF_TOKEN: ' t\n',
        HF_ENDPOINT: 'https://mirror/',
        HF_HUB_OFFLINE: 'TRUE',
      }),
    ).toEqual({ cacheFolder: '/h/hub', endpoint: 'https://mirror', token: 't', isOffline: true });
    expect(hubSettings({ HF_HOME: '/h', HF_HUB_CACHE: '/c', HF_HUB_OFFLINE: '0' })).toEqual({
      cacheFolder: '/c',
      endpoint: 'https://huggingface.co',
      token: null,
      isOffline: false,
    });
    expect(hubSettings({ XDG_CACHE_HOME: '/x' }).cacheFolder).toBe('/x/huggingface/hub');
  });
});
