import { readFileSync, rmSync } from 'node:fs';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { rejectionOf } from '../test-support/error-of.ts';
import { COMMIT, hubServer } from '../test-support/hub-server.ts';
import { fetchDataset } from './fetch-dataset.ts';
import type { HubOptions } from './hub-options.ts';

const test = Buffer.from('{"question": "a"}\n');
const repositories = {
  'org/rows': {
    files: {
      'main/test-00000-of-00001.parquet': test,
      'main/train-00000-of-00001.parquet': Buffer.from('other'),
      'load.py': Buffer.from('print("never")'),
    },
    lfs: ['main/test-00000-of-00001.parquet'],
  },
};
const isTest = (file: string): boolean => file.startsWith('main/test-');

describe('rows of a data set of the hub', () => {
  it('only the needed files are downloaded, and offline the cached ones are used', async () => {
    await using server = await hubServer(repositories);
    const options: HubOptions = {
      cacheFolder: temporaryFolder(),
      endpoint: server.endpoint,
      token: null,
      isOffline: false,
      sleep: () => Promise.resolve(),
    };
    const files = await fetchDataset('org/rows', isTest, options);
    expect(files).toHaveLength(1);
    expect(files[0]).toContain(`datasets--org--rows/snapshots/${COMMIT}/main/test-`);
    expect(readFileSync(files[0]!)).toEqual(test);
    expect(server.requests.map(({ line }) => line)).toEqual([
      'GET /api/datasets/org/rows/revision/main',
      `GET /datasets/org/rows/resolve/${COMMIT}/main/test-00000-of-00001.parquet`,
      'GET /storage/org/rows/main/test-00000-of-00001.parquet',
    ]);
    expect(await fetchDataset('org/rows', isTest, { ...options, isOffline: true })).toEqual(files);
    expect(server.requests).toHaveLength(3);

    await server.stop();
    const notices: string[] = [];
    const onNotice = (message: string): number => notices.push(message);
    expect(await fetchDataset('org/rows', isTest, { ...options, onNotice })).toEqual(files);
    expect(notices.join()).toContain('the cached rows of org/rows are used');
  });

  it('a cache with a part of a split is refused offline', async () => {
    const files = Object.fromEntries(
      [0, 1].map((i) => [`train-0000${i}-of-00002-${i}f3.parquet`, Buffer.from(`${i}`)]),
    );
    await using server = await hubServer({ 'org/split': { files } });
    const options = {
      cacheFolder: temporaryFolder(),
      endpoint: server.endpoint,
      token: null,
      isOffline: false,
    };
    const both = await fetchDataset('org/split', () => true, options);
    expect(await fetchDataset('org/split', () => true, { ...options, isOffline: true })).toEqual(both);
    rmSync(both[1]!);
    const error = await rejectionOf(fetchDataset('org/split', () => true, { ...options, isOffline: true }));
    expect(error).toMatchObject({ code: 'MISSING_FILE', details: { count: 1, partCount: 2 } });
  });

  it('what is not cached is refused offline, and an unknown data set always', async () => {
    await using server = await hubServer(repositories);
    const options = {
      cacheFolder: temporaryFolder(),
      endpoint: server.endpoint,
      token: null,
      isOffline: false,
    };
    const offline = await rejectionOf(fetchDataset('org/rows', isTest, { ...options, isOffline: true }));
    expect(offline).toMatchObject({ code: 'MISSING_FILE' });
    expect(await rejectionOf(fetchDataset('org/none', isTest, options))).toMatchObject({
      code: 'MISSING_FILE',
    });
    expect(await fetchDataset('org/rows', () => false, options)).toEqual([]);
  });
});
