import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../open-checkpoint.ts';
import { rejectionOf } from '../test-support/error-of.ts';
import { COMMIT, gitHash, hubServer, sha256, type HubServer } from '../test-support/hub-server.ts';
import { safetensorsBytes } from '../test-support/safetensors-bytes.ts';
import { fetchConfig, fetchModel } from './fetch-model.ts';
import { isHubName, parseHubName } from './hub-name.ts';
import type { HubOptions, HubProgress } from './hub-options.ts';

const config = Buffer.from('{"model_type":"llama","hidden_size":4}');
const tensor = (name: string, size: number) =>
  Buffer.from(
    safetensorsBytes(
      { [name]: { dtype: 'F32', shape: [size], data_offsets: [0, 4 * size] } },
      Buffer.alloc(4 * size, 1),
    ),
  );
const weights = tensor('w', 50_000);
const index = Buffer.from(
  JSON.stringify({ weight_map: { a: 'model-1.safetensors', b: 'sub/model-2.safetensors' } }),
);
const repositories = {
  'org/small': {
    files: {
      'config.json': config,
      'model.safetensors': weights,
      'README.md': Buffer.from('# hi'),
      'modeling.py': Buffer.from('print("never")'),
    },
    lfs: ['model.safetensors'],
  },
  'org/sharded': {
    files: {
      'config.json': config,
      'model.safetensors.index.json': index,
      'model-1.safetensors': tensor('a', 4),
      'sub/model-2.safetensors': tensor('b', 4),
      'model-3.safetensors': tensor('c', 4),
    },
  },
  'org/words': {
    files: {
      'config.json': config,
      'model.safetensors': weights,
      'vocab.json': Buffer.from('{"a":0}'),
      'merges.txt': Buffer.from('#version: 0.2\n'),
      'chat_template.jinja': Buffer.from('x'),
      'additional_chat_templates/tool_use.jinja': Buffer.from('y'),
      'additional_chat_templates/run.py': Buffer.from('no'),
      'other/z.jinja': Buffer.from('no'),
    },
  },
  'org/gated': {
    files: { 'config.json': config, 'model.safetensors': weights },
    lfs: ['model.safetensors'],
    needsToken: 'hf_secret',
  },
  'org/evil': {
    files: {
      'config.json': config,
      'model.safetensors.index.json': Buffer.from('{"weight_map":{"a":"../../../../escaped"}}'),
      '../../../../escaped': Buffer.from('x'),
    },
  },
  'org/pickle': { files: { 'config.json': config, 'pytorch_model.bin': Buffer.from('x') } },
  'org/ggufs': { files: { 'a-Q4.gguf': Buffer.from('x'), 'a-Q8.gguf': Buffer.from('x') } },
};
const server: HubServer = await hubServer(repositories, { 'old/small': 'org/small' });
afterAll(() => server.stop());

let cacheFolder: string;
let seen: HubProgress[];
let notices: string[];
beforeEach(() => {
  cacheFolder = temporaryFolder();
  [seen, notices] = [[], []];
  server.requests.length = 0;
  server.faults.clear();
});
const options = (more: Partial<HubOptions> = {}): HubOptions => ({
  cacheFolder,
  endpoint: server.endpoint,
  token: null,
  isOffline: false,
  sleep: () => Promise.resolve(),
  onProgress: (progress) => seen.push(progress),
  onNotice: (text) => notices.push(text),
  ...more,
});
const blobs = (repository = 'org--small'): string[] =>
  readdirSync(join(cacheFolder, `models--${repository}`, 'blobs')).sort();

describe('names', () => {
  it('are told from paths, with or without a revision', () => {
    expect([
      isHubName('org/name'),
      isHubName('org/name@v1'),
      isHubName('./name'),
      isHubName('/a/b'),
      isHubName('a/b/c'),
      isHubName('name'),
    ]).toEqual([true, true, false, false, false, false]);
    expect([parseHubName('org/name.v2'), parseHubName('org/name@refs/pr/1')]).toEqual([
      { repository: 'org/name.v2', revision: 'main' },
      { repository: 'org/name', revision: 'refs/pr/1' },
    ]);
    for (const bad of ['org/name@../../x', 'org/na--me', 'org/n..me', 'org/name@a//b', 'org/name@-x'])
      expect(() => parseHubName(bad), bad).toThrow(/must be named org\/name/);
  });
});

describe('a model that is not there yet', () => {
  it("comes into the layout of Hugging Face's own cache, and opens under its name", async () => {
    const folder = await fetchModel('org/small', options());
    const root = join(cacheFolder, 'models--org--small');
    expect(folder).toBe(join(root, 'snapshots', COMMIT));
    expect(readFileSync(join(root, 'refs/main'), 'utf8')).toBe(COMMIT);
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors']); // no README, no code
    expect(readlinkSync(join(folder, 'model.safetensors'))).toBe(`../../blobs/${sha256(weights)}`);
    expect(blobs()).toEqual([gitHash(config), sha256(weights)].sort());
    using checkpoint = await openCheckpoint(folder);
    expect([checkpoint.name, checkpoint.tensors.get('w')!.shape]).toEqual(['org/small', [50_000]]);
    expect(seen.at(-1)).toEqual({
      repository: 'org/small',
      file: 'model.safetensors',
      doneBytes: weights.length,
      totalBytes: weights.length,
    });
  });

  it('comes with its tokenizer of two files and with the templates of a folder, which are read', async () => {
    const folder = await fetchModel('org/words', options());
    expect(readdirSync(folder).sort()).toEqual([
      'additional_chat_templates',
      'chat_template.jinja',
      'config.json',
      'merges.txt',
      'model.safetensors',
      'vocab.json',
    ]);
    expect(readdirSync(join(folder, 'additional_chat_templates'))).toEqual(['tool_use.jinja']);
    using checkpoint = await openCheckpoint(folder);
    expect([checkpoint.tokenizerFiles.chatTemplate, checkpoint.tokenizerFiles.toolTemplate]).toEqual([
      'x',
      'y',
    ]);
  });

  it('is fetched by revision, at a moved address, and in the shards that the index names', async () => {
    await fetchModel('old/small@v1.0', options());
    expect(server.requests[0].line).toBe('GET /api/models/old/small/revision/v1.0');
    expect(readFileSync(join(cacheFolder, 'models--old--small/refs/v1.0'), 'utf8')).toBe(COMMIT);
    const folder = await fetchModel('org/sharded', options());
    expect(readlinkSync(join(folder, 'sub/model-2.safetensors'))).toBe(
      `../../../blobs/${gitHash(repositories['org/sharded'].files['sub/model-2.safetensors'])}`,
    );
    expect(existsSync(join(folder, 'model-3.safetensors'))).toBe(false);
    using checkpoint = await openCheckpoint(folder);
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b']);
  });

  it('the token goes to the hub, and not to the storage that it redirects to', async () => {
    await fetchModel('org/gated', options({ token: 'hf_secret' }));
    const storage = server.requests.filter(({ host }) => host.startsWith('localhost'));
    expect(storage.map(({ authorization }) => authorization)).toEqual([undefined]);
    expect(
      server.requests
        .filter(({ host }) => host.startsWith('127'))
        .every(({ authorization }) => authorization === 'Bearer hf_secret'),
    ).toBe(true);
  });
});

describe('the config of a model alone', () => {
  it('is one small file, which does not pass for the model', async () => {
    const path = await fetchConfig('org/small', options());
    expect([readFileSync(path), blobs()]).toEqual([config, [gitHash(config)]]);
    expect((await rejectionOf(fetchModel('org/small', options({ isOffline: true })))).code).toBe(
      'MISSING_FILE',
    );
    const folder = await fetchModel('org/small', options());
    server.requests.length = 0;
    expect([
      await fetchConfig('org/small', options({ isOffline: true })),
      await fetchConfig(`org/small@${COMMIT}`, options()),
      server.requests.length,
    ]).toEqual([join(folder, 'config.json'), join(folder, 'config.json'), 0]);
  });

  it('comes from the cache offline, and with a notice where the hub does not answer', async () => {
    const path = await fetchConfig('org/small', options());
    expect(await fetchConfig('org/small', options({ isOffline: true }))).toBe(path);
    expect(await fetchConfig('org/small', options({ endpoint: 'http://127.0.0.1:9' }))).toBe(path);
    expect(notices).toEqual([expect.stringMatching(/The hub does not answer .* the cached file is used/)]);
  });

  it('is missing where the repository has none, and offline where nothing is cached', async () => {
    expect((await rejectionOf(fetchConfig('org/ggufs', options()))).message).toMatch(
      /no "config.json" in org\/ggufs/,
    );
    expect((await rejectionOf(fetchConfig('org/small', options({ isOffline: true })))).message).toMatch(
      /There is no folder org\/small here, and downloads are off \(HF_HUB_OFFLINE\)/,
    );
  });
});

describe('a model that is there', () => {
  it('costs one request where the revision may have moved, none for a commit or offline', async () => {
    const folder = await fetchModel('org/small', options());
    server.requests.length = 0;
    expect(await fetchModel('org/small', options())).toBe(folder);
    expect(server.requests.length).toBe(1);
    expect(await fetchModel(`org/small@${COMMIT}`, options())).toBe(folder);
    expect(await fetchModel('org/small', options({ isOffline: true }))).toBe(folder);
    expect(server.requests.length).toBe(1);
  });

  it('is used, with a notice, where the hub does not answer', async () => {
    const folder = await fetchModel('org/small', options());
    expect(await fetchModel('org/small', options({ endpoint: 'http://127.0.0.1:9' }))).toBe(folder);
    expect(notices).toEqual([expect.stringMatching(/hub does not answer.*org\/small is used/)]);
  });

  it('may be meant as a folder, which is said first, whatever the hub answers', async () => {
    const unreachable = options({ endpoint: 'http://127.0.0.1:9' });
    const expected =
      'There is no folder models/smollm2 here, and the hub cannot be reached to look for a model of that ' +
      'name.';
    for (const fetch of [fetchModel, fetchConfig]) {
      const error = await rejectionOf(fetch('models/smollm2', unreachable), 'MISSING_FILE');
      expect(error.message).toContain(expected);
      expect((error.cause as { code: string }).code).toBe('NETWORK');
    }
    expect((await rejectionOf(fetchModel('org/gone', options()), 'MISSING_FILE')).message).toMatch(
      /There is no folder org\/gone here, and the hub has no model of that name/,
    );
    expect((await rejectionOf(fetchModel('org/gated', options()), 'ACCESS_DENIED')).message).toMatch(
      /There is no folder org\/gated here, and the hub gives out no model of that name/,
    );
  });

  it('offline and not cached is an error that says where it looked; a part of one too', async () => {
    const missing = await rejectionOf(fetchModel('org/other', options({ isOffline: true })), 'MISSING_FILE');
    expect(missing.message).toMatch(
      /There is no folder org\/other here, and downloads are off.* none in .*models--org--other/,
    );
    const folder = await fetchModel('org/sharded', options());
    const blob = join(folder, readlinkSync(join(folder, 'model-1.safetensors')));
    expect(lstatSync(blob).isFile()).toBe(true);
    writeFileSync(join(folder, 'model.safetensors.index.json'), '{"weight_map":{"a":"gone.safetensors"}}');
    expect(
      (await rejectionOf(fetchModel('org/sharded', options({ isOffline: true })), 'MISSING_FILE')).message,
    ).toMatch(/has only a part of org\/sharded, and downloads are off/);
  });
});

describe('a bad connection', () => {
  it('that breaks in the middle is taken up where it broke, within one call', async () => {
    server.faults.set('model.safetensors', { breakAfter: 70_000, breaks: 2 });
    await fetchModel('org/small', options());
    const ranges = server.requests
      .map(({ line }) => /storage.* bytes=(\d+)-$/.exec(line)?.[1])
      .filter(Boolean)
      .map(Number);
    expect(ranges.length).toBe(2);
    expect(ranges[0] > 0 && ranges[1] > ranges[0]).toBe(true);
    expect(blobs()).toContain(sha256(weights));
  });

  it('that stays broken is NETWORK, and the next call goes on with what came', async () => {
    server.faults.set('model.safetensors', { breakAfter: 1000 });
    await rejectionOf(fetchModel('org/small', options()), 'NETWORK');
    const partial = join(cacheFolder, 'models--org--small/blobs', `${sha256(weights)}.incomplete`);
    const size = lstatSync(partial).size;
    expect(size).toBeGreaterThan(0);
    server.faults.clear();
    server.requests.length = 0;
    await fetchModel('org/small', options());
    expect(server.requests.map(({ line }) => line)).toContain(
      `GET /storage/org/small/model.safetensors bytes=${size}-`,
    );
    expect(existsSync(partial)).toBe(false);
  });

  it('a server that begins anew is heard', async () => {
    server.faults.set('model.safetensors', { breakAfter: 1000, breaks: 1, ignoresRange: true });
    await fetchModel('org/small', options());
    expect(blobs()).toContain(sha256(weights));
  });

  it.each([
    ['fewer bytes', weights.subarray(0, 100_000), 'NETWORK'],
    ['more bytes', Buffer.concat([weights, Buffer.from('x')]), 'BAD_FILE'],
    ['other bytes', Buffer.alloc(weights.length, 7), 'BAD_FILE'],
  ] as const)('%s than the hub listed are an error, and never a blob', async (_, content, code) => {
    server.faults.set('model.safetensors', { content });
    await rejectionOf(fetchModel('org/small', options()), code);
    expect(blobs().filter((name) => name === sha256(weights))).toEqual([]);
    if (code === 'BAD_FILE') expect(blobs()).toEqual([gitHash(config)]);
  });

  it('an abort ends it, and keeps what came', async () => {
    const controller = new AbortController();
    const download = fetchModel(
      'org/small',
      options({
        signal: controller.signal,
        onProgress: ({ file }) => {
          if (file === 'model.safetensors') controller.abort();
        },
      }),
    );
    await expect(download).rejects.toThrow(/abort/i);
    expect(blobs().some((name) => name.endsWith('.incomplete'))).toBe(true);
  });
});

describe('what the hub refuses, and what we do', () => {
  it('401 asks for a token, 404 says what is missing', async () => {
    expect((await rejectionOf(fetchModel('org/gated', options()), 'ACCESS_DENIED')).message).toMatch(
      /HF_TOKEN/,
    );
    expect((await rejectionOf(fetchModel('org/nobody', options()), 'MISSING_FILE')).message).toMatch(
      /has no model of that name, or not at that revision/,
    );
    await rejectionOf(fetchModel('org/small@missing', options()), 'MISSING_FILE');
  });

  it('names that leave the cache, pickles and a choice of GGUF files', async () => {
    expect((await rejectionOf(fetchModel('org/evil', options()), 'BAD_FILE')).message).toMatch(
      /leads out of the repository/,
    );
    expect(readdirSync(cacheFolder)).toEqual(['models--org--evil']);
    expect((await rejectionOf(fetchModel('org/pickle', options()), 'UNSUPPORTED')).message).toMatch(
      /can run code/,
    );
    expect((await rejectionOf(fetchModel('org/ggufs', options()), 'UNSUPPORTED')).message).toMatch(
      /2 GGUF files \(a-Q4\.gguf, a-Q8\.gguf\)/,
    );
  });

  it('an answer that is no listing is NETWORK', async () => {
    const page = (async () => new Response('<html>log in</html>')) as typeof fetch;
    expect(
      (await rejectionOf(fetchModel('org/small', options({ fetch: page })), 'MISSING_FILE')).message,
    ).toMatch(/the hub cannot be reached/);
  });
});
