import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { defineTask, readTaskYaml, type ReadSplit } from '@qdylora/eval';
import { temporaryFolder } from '@qdylora/testing/node';
import { describe, expect, it } from 'vitest';
import { isSplitFile, readSplitOnHub } from './task-data.ts';

const COMMIT = 'c'.repeat(40);

/** The splits of a data set whose files, of one row each, are in the hub's cache. */
function hubWith(files: readonly string[], configuration: string | null, more = ''): ReadSplit {
  const cache = temporaryFolder();
  const folder = join(cache, 'datasets--made--quiz');
  const contents = files.map((file): [string, string] => [
    `snapshots/${COMMIT}/${file}`,
    `{"from": ${JSON.stringify(file)}}\n`,
  ]);
  for (const [path, text] of [['refs/main', COMMIT], ...contents]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const yaml = `task: quiz
dataset_path: made/quiz
dataset_name: ${configuration}
test_split: test
doc_to_text: q
doc_to_target: a
${more}`;
  const task = defineTask(readTaskYaml(yaml, 'quiz.yaml'), 'quiz.yaml');
  return readSplitOnHub(task, { env: { HF_HUB_CACHE: cache, HF_HUB_OFFLINE: '1' } });
}

describe('the split of a data set on the hub', () => {
  const CONFIGURATIONS = ['main/test.jsonl', 'socratic/test.jsonl', 'socratic/train.jsonl'];

  it('is that of its configuration, or of the only one', async () => {
    const from = async (read: ReadSplit, split: string) =>
      (await read(split)).map(({ value }) => value.get('from'));
    expect(await from(hubWith(CONFIGURATIONS, 'socratic'), 'test')).toEqual(['socratic/test.jsonl']);
    expect(await from(hubWith(CONFIGURATIONS, null), 'train')).toEqual(['socratic/train.jsonl']);
    const parts = ['data/test-00000-of-00002.jsonl', 'data/test-00001-of-00002.jsonl'];
    expect(await from(hubWith(parts, null), 'test')).toEqual(parts);
  });

  it('is refused where several configurations have it, with their names', async () => {
    await expect(hubWith(CONFIGURATIONS, null)('test')).rejects.toMatchObject({
      code: 'BAD_CONFIG',
      message: expect.stringMatching(
        /more than once on the hub: main\/\*\.jsonl, socratic\/\*\.jsonl\. Name .* `dataset_name: main`, or/,
      ) as string,
      details: { folders: ['main', 'socratic'] },
    });
  });

  it('is refused where keys say to read it another way', async () => {
    const read = hubWith(CONFIGURATIONS, 'main', 'dataset_kwargs: {data_dir: law}\n');
    await expect(read('test')).rejects.toThrow('`data_dir` in `dataset_kwargs` is not supported');
  });

  it('is refused where it is there in two types of files', async () => {
    await expect(hubWith(['main/test.jsonl', 'main/test.json'], 'main')('test')).rejects.toThrow(
      'made/quiz has the split test more than once on the hub: main/*.json, main/*.jsonl. Choose one,',
    );
  });

  it.each([
    ['main/test-00000-of-00001.parquet', 'test', 'main', true],
    ['socratic/test-00000-of-00001.parquet', 'test', 'main', false],
    ['data/validation.jsonl', 'validation', null, true],
    ['test.json', 'test', null, true],
    ['data/testing.jsonl', 'test', null, false],
    ['main/train-00000-of-00001.parquet', 'test', 'main', false],
    ['a/b/test.parquet', 'test', null, false],
  ])('%s is a file of %s in %s: %s', (file, split, configuration, expected) => {
    expect(isSplitFile(file, split, configuration)).toBe(expected);
  });
});
