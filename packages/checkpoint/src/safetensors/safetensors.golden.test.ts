import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fixturePath } from '../test-support/fixture-path.ts';
import { goldenSums, sharedPath, temporaryFolder } from '@qdylora/testing/node';
import { openSafetensors } from './open-safetensors.ts';
import { writeSafetensors } from './write-file.ts';

const root = temporaryFolder();

/** Bytes of the file after it was read and written again by us. */
function rewritten(path: string): Buffer {
  const file = openSafetensors(path);
  const out = join(root, 'again.safetensors');
  writeSafetensors(
    out,
    [...file.tensors.values()].map(({ name, dtype, shape, readBytes }) => ({
      name,
      dtype,
      shape,
      bytes: readBytes,
    })),
    { metadata: Object.fromEntries(file.metadata) },
  );
  file.dispose();
  return readFileSync(out);
}

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.safetensors'))
    .map((name) => join(folder, name));

describe('files written by Hugging Face safetensors 0.8.0', () => {
  it('come out byte for byte the same when we read and write them', () => {
    const files = filesIn(fixturePath('.'));
    expect(files.length).toBeGreaterThan(20);
    for (const path of files) expect(rewritten(path).equals(readFileSync(path)), path).toBe(true);
  });

  const models = sharedPath('fixtures/models');
  it('the same for all model fixtures', ({ skip }) => {
    skip(models === null, 'shared/fixtures is not beside the checkout');
    const files = filesIn(models!);
    expect(files.length).toBeGreaterThan(50);
    for (const path of files) expect(rewritten(path).equals(readFileSync(path)), path).toBe(true);
  });
});

describe('golden files', () => {
  it('are the ones that were made', () => {
    const sums = goldenSums(fixturePath('.'));
    expect(sums.length).toBeGreaterThan(50);
    for (const { file, said, hash } of sums) expect(hash, file).toBe(said);
  });
});
