import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@qdylora/testing/node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeFolderAtomically } from '../folder/atomic-folder.ts';
import { validateFolder } from '../folder/manifest.ts';
import { tensorOf } from '../safetensors/tensor-of.ts';
import { writeSafetensors, streamSafetensors } from '../safetensors/write-file.ts';
import { rejectionOf } from '../test-support/error-of.ts';
import { writeFileAsync } from './write-file-async.ts';

const root = temporaryFolder();
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

describe('a file that is written behind', () => {
  it('has the bytes of all pieces, and its record has their size and hash', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), async (pieces) => {
        const path = join(root, 'any');
        const whole = Buffer.concat(pieces);
        expect(await writeFileAsync(path, pieces)).toEqual({ size: whole.length, sha256: sha256(whole) });
        expect(readFileSync(path).equals(whole)).toBe(true);
      }),
      { numRuns: 30 },
    );
    const many = Array.from({ length: 1500 }, (_, i) => Uint8Array.of(i % 256, 7));
    expect(await writeFileAsync(join(root, 'many'), many)).toEqual({
      size: 3000,
      sha256: sha256(Buffer.concat(many)),
    });
    expect(readFileSync(join(root, 'many')).equals(Buffer.concat(many))).toBe(true);
    const large = new Uint8Array(2 ** 24 + 5).map((_, i) => i % 251);
    expect(await writeFileAsync(join(root, 'large'), [large])).toEqual({
      size: large.length,
      sha256: sha256(large),
    });
    expect(readdirSync(root).sort()).toEqual(['any', 'large', 'many']);
  });

  it('is not there, and an older one is as it was, where a piece or the disk fails', async () => {
    const path = join(root, 'any');
    const failing = function* (): Generator<Uint8Array> {
      yield Uint8Array.of(1);
      throw new Error('no more');
    };
    writeFileSync(path, 'old');
    await expect(writeFileAsync(path, failing())).rejects.toThrow('no more');
    mkdirSync(join(root, 'taken'));
    await rejectionOf(writeFileAsync(join(root, 'taken'), [Uint8Array.of(1)]), 'WRITE_FAILED');
    await rejectionOf(writeFileAsync(join(root, 'nowhere/x'), [Uint8Array.of(1)]), 'WRITE_FAILED');
    expect([readFileSync(path, 'utf8'), readdirSync(root).filter((name) => name.includes('.tmp-'))]).toEqual([
      'old',
      [],
    ]);
  });

  it('as safetensors has the bytes that the other way gives', async () => {
    const tensors = [tensorOf('b', [2], Float32Array.of(1, 2)), tensorOf('a', [3], Uint8Array.of(1, 2, 3))];
    writeSafetensors(join(root, 'one.safetensors'), tensors, { metadata: { format: 'pt' } });
    await streamSafetensors(join(root, 'two.safetensors'), tensors, { metadata: { format: 'pt' } });
    const arriving = tensors.map(({ bytes, ...tensor }) => ({
      ...tensor,
      bytes: async function* () {
        for (const byte of bytes as Uint8Array) yield Uint8Array.of(byte);
      },
    }));
    await streamSafetensors(join(root, 'three.safetensors'), arriving, { metadata: { format: 'pt' } });
    for (const other of ['two', 'three'])
      expect(
        readFileSync(join(root, 'one.safetensors')).equals(readFileSync(join(root, `${other}.safetensors`))),
      ).toBe(true);
    await rejectionOf(
      streamSafetensors(join(root, 'short.safetensors'), [{ ...arriving[0], shape: [3] }]),
      'BAD_ARGUMENT',
    );
  });

  it('is in the manifest as it was hashed, unless it has another size by then', async () => {
    const known = new Map([
      ['x', { size: 1, sha256: 'f'.repeat(64) }],
      ['y', { size: 2, sha256: 'f'.repeat(64) }],
    ]);
    const folder = join(root, 'folder');
    await writeFolderAtomically(
      folder,
      (temporary) => {
        for (const name of ['x', 'y', 'z']) writeFileSync(join(temporary, name), name);
      },
      { known },
    );
    const { files } = JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
      files: Record<string, { sha256: string }>;
    };
    expect(Object.values(files).map((file) => file.sha256)).toEqual([
      'f'.repeat(64),
      ...['y', 'z'].map((text) => sha256(Buffer.from(text))),
    ]);
    expect(validateFolder(folder).isValid).toBe(false); // the hash of x was made up
  });
});
