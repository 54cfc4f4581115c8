import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeSafetensors } from './write-file.ts';
import { tensorOf } from './tensor-of.ts';
import { openShards } from './shard-index.ts';
import { errorOf } from '../test-support/error-of.ts';
import { fixturePath } from '../test-support/fixture-path.ts';
import { temporaryFolder } from '@qdylora/testing/node';

const root = temporaryFolder();
const folder = join(root, 'model');
const index = join(folder, 'model.safetensors.index.json');
mkdirSync(folder);
writeSafetensors(join(folder, 'one.safetensors'), [tensorOf('a', [1], Float32Array.of(1))]);
writeSafetensors(join(folder, 'two.safetensors'), [
  tensorOf('b', [1], Float32Array.of(2)),
  tensorOf('extra', [1], Float32Array.of(3)),
]);
writeSafetensors(join(root, 'outside.safetensors'), [tensorOf('c', [1], Float32Array.of(4))]);
symlinkSync(join(root, 'outside.safetensors'), join(folder, 'link.safetensors'));
symlinkSync('one.safetensors', join(folder, 'inner-link.safetensors'));

const openWith = (value: unknown, followLinks?: boolean) => {
  writeFileSync(index, typeof value === 'string' ? value : JSON.stringify(value));
  return openShards(folder, index, followLinks);
};
const openMap = (weight_map: Record<string, unknown>) => openWith({ weight_map });

describe('a shard index', () => {
  it('finds each tensor in its shard, each file opened once', () => {
    const { tensors, files } = openMap({ b: 'two.safetensors', a: 'one.safetensors' });
    expect([...tensors].map(([name, entry]) => [name, entry.readFloat32()[0]])).toEqual([
      ['a', 1],
      ['b', 2],
      ['extra', 3],
    ]);
    expect(files.length).toBe(2);
    files.forEach((file) => file.dispose());
    errorOf(() => tensors.get('a')!.readBytes(), 'DISPOSED');
  });

  it('without a tensor of a shard, or with one in two shards, is read as transformers does', () => {
    writeSafetensors(join(folder, 'ten.safetensors'), [
      tensorOf('b', [1], Float32Array.of(5)),
      tensorOf('c', [1], Float32Array.of(6)),
    ]);
    // not in the index
    writeSafetensors(join(folder, 'z.safetensors'), [tensorOf('b', [1], Float32Array.of(7))]);
    for (const shard of ['two', 'ten']) {
      // wherever the map puts b
      const { tensors, files } = openMap({
        b: `${shard}.safetensors`,
        c: 'ten.safetensors',
        a: 'one.safetensors',
        extra: 'two.safetensors',
      });
      expect([...tensors].map(([name, entry]) => [name, entry.readFloat32()[0]]).sort()).toEqual([
        ['a', 1],
        ['b', 2],
        ['c', 6],
        ['extra', 3],
      ]);
      files.forEach((file) => file.dispose());
    }
  });

  it('that transformers wrote opens', () => {
    const { tensors, files } = openShards(
      fixturePath('models/llama-gqa'),
      fixturePath('models/llama-gqa/model.safetensors.index.json'),
    );
    expect([tensors.size, files.length, tensors.get('model.norm.weight')?.shape]).toEqual([21, 5, [32]]);
    files.forEach((file) => file.dispose());
  });

  it('with a missing shard is MISSING_FILE, with a missing tensor MISSING_TENSOR', () => {
    expect(
      errorOf(() => openMap({ a: 'one.safetensors', b: 'three.safetensors' }), 'MISSING_FILE').message,
    ).toMatch(/names the shard "three\.safetensors", but the folder has no such file.*not complete/);
    expect(
      errorOf(() => openMap({ a: 'one.safetensors', z: 'two.safetensors' }), 'MISSING_TENSOR').message,
    ).toMatch(/the shard "two\.safetensors" has no "z"/);
  });

  it.each([
    '../outside.safetensors',
    '/etc/passwd',
    'a/../../outside.safetensors',
    'one.safetensors\0',
    '..\\outside.safetensors',
    '',
    '.',
    'x//y',
    './one.safetensors',
  ])('cannot name a shard %j', (name) => {
    expect(errorOf(() => openMap({ a: name }), 'BAD_FILE').message).toMatch(
      /must be inside the folder \(got the name/,
    );
  });

  it('follows links inside the folder, and outside only when told to', () => {
    openMap({ a: 'inner-link.safetensors' }).files[0].dispose();
    expect(errorOf(() => openMap({ c: 'link.safetensors' }), 'BAD_FILE').message).toMatch(
      /a link to .*outside\.safetensors.*followLinks/,
    );
    openWith({ weight_map: { c: 'link.safetensors' } }, true).files[0].dispose();
  });

  it('follows the links of the Hugging Face cache into its own repository', () => {
    const repository = join(root, 'models--org--name');
    const snapshot = join(repository, 'snapshots/abc');
    mkdirSync(snapshot, { recursive: true });
    mkdirSync(join(repository, 'blobs'));
    copyFileSync(join(folder, 'one.safetensors'), join(repository, 'blobs/123'));
    symlinkSync('../../blobs/123', join(snapshot, 'model.safetensors'));
    symlinkSync(join(root, 'outside.safetensors'), join(snapshot, 'outside.safetensors'));
    const at = join(snapshot, 'index.json');
    writeFileSync(at, JSON.stringify({ weight_map: { a: 'model.safetensors' } }));
    openShards(snapshot, at).files[0].dispose();
    writeFileSync(at, JSON.stringify({ weight_map: { c: 'outside.safetensors' } }));
    errorOf(() => openShards(snapshot, at), 'BAD_FILE');
  });

  it('of another shape is BAD_FILE', () => {
    for (const value of [
      '',
      '{',
      '[]',
      'null',
      '{}',
      '\ufeff{}',
      { weight_map: [] },
      { weight_map: { a: 1 } },
      { weight_map: { a: null } },
    ])
      errorOf(() => openWith(value), 'BAD_FILE');
    writeFileSync(index, Uint8Array.of(0x7b, 0xff, 0x7d));
    expect(errorOf(() => openShards(folder, index), 'BAD_FILE').message).toMatch(/valid UTF-8/);
    errorOf(
      () =>
        openMap(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`t${i}`, `${i}.safetensors`]))),
      'BAD_FILE',
    );
  });
});
