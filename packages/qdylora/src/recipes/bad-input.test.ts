import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createHostBackend } from '@qdylora/contract';
import { lockFolder } from '@qdylora/trainer';
import { describe, expect, it } from 'vitest';
import { writeTinyModel } from '../../test/tiny-model.ts';
import { rejection, run, tinyRun } from '../../test/tiny-run.ts';
import { evaluate } from '../index.ts';

const { folder, rows, common, judged } = tinyRun();

describe('bad input', () => {
  it.each([
    ['a model that is not there', { model: 'nowhere' }, 'MISSING_FILE'],
    ['a data set that is not there', { dataset: 'nowhere.jsonl' }, 'MISSING_FILE'],
    ['both kinds of held-out rows', { evalDataset: rows }, 'BAD_CONFIG'],
    ['a checkpoint that is not there', { resumeFromCheckpoint: 'nowhere' }, 'MISSING_FILE'],
    ['a file for optimizer pages', { optimizer: 'paged_adamw_32bit', pageDir: rows }, 'WRITE_FAILED'],
  ] as const)('%s is an error, and nothing is written', async (_, options, code) => {
    expect((await rejection(() => run({ ...common, ...options, outputDir: folder.in('bad') }))).code).toBe(
      code,
    );
    expect(existsSync(folder.in('bad')) ? readdirSync(folder.in('bad')) : []).toEqual([]);
  });

  it.each([
    ['malformed rows', '{"input_ids": [1, 2', /bad\.jsonl:1/],
    ['no rows', '', /empty/],
    ['only masked rows', '{"input_ids":[1,2,3],"labels":[-100,-100,-100]}', /masked/],
    ['ids past the vocabulary', '{"input_ids":[1,2,104]}', /bad\.jsonl:1\] The data has the token id 104/],
  ])('%s are named with file and line', async (_, text, message) => {
    writeFileSync(folder.in('bad.jsonl'), text);
    const error = await rejection(() =>
      run({ ...common, valSetSize: 0, dataset: folder.in('bad.jsonl'), outputDir: folder.in('bad') }),
    );
    expect([error.code, error.message]).toEqual(['BAD_DATA', expect.stringMatching(message)]);
  });

  it('a folder that another run writes to is left alone', async () => {
    const lock = lockFolder(folder.in('busy'));
    expect((await rejection(() => run({ ...common, outputDir: folder.in('busy') }))).code).toBe(
      'BUSY_FOLDER',
    );
    lock.release();
  });

  it('an output folder below a file cannot be written', async () => {
    expect((await rejection(() => run({ ...common, outputDir: join(rows, 'below') }))).code).toBe(
      'WRITE_FAILED',
    );
  });

  it('a cut checkpoint is told before anything is written', async () => {
    const cut = writeTinyModel(folder.in('cut'));
    const path = join(cut, 'model.safetensors');
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, whole.length - 100));
    expect((await rejection(() => run({ ...common, model: cut, outputDir: folder.in('bad') }))).code).toBe(
      'BAD_FILE',
    );
  });

  it('takes a backend of the caller, and leaves it alive', async () => {
    const backend = createHostBackend();
    await evaluate({ ...judged, backend });
    expect(backend.memory.allocate('f32', [1]).shape).toEqual([1]);
  });
});
