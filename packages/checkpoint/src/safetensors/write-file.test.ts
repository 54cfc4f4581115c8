import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorOf } from '../test-support/error-of.ts';
import { MemoryFileSystem } from '@qdylora/testing/node';
import { temporaryFolder } from '@qdylora/testing/node';
import { memoryByteSource } from '../read/byte-source.ts';
import { safetensorsOf } from './open-safetensors.ts';
import { tensorOf } from './tensor-of.ts';
import { writeSafetensors } from './write-file.ts';

const root = temporaryFolder();
const two = [
  tensorOf('w', [2, 2], Float32Array.of(1, 2, 3, 4)),
  tensorOf('ids', [3], BigInt64Array.of(1n, -1n, 0n)),
];

describe('writeSafetensors', () => {
  it('an empty file has sixteen bytes', () => {
    writeSafetensors(join(root, 'empty'), []);
    expect(nodeFs.readFileSync(join(root, 'empty'))).toEqual(
      Buffer.from('\x08\0\0\0\0\0\0\0{}      ', 'latin1'),
    );
  });

  it('writes widest dtypes first, metadata before them, and fetches each tensor when its turn comes', () => {
    const order: string[] = [];
    const lazy = (name: string, dtype: string) => ({
      name,
      dtype,
      shape: [1],
      bytes: () => {
        order.push(name);
        return new Uint8Array(dtype === 'I64' ? 8 : 2);
      },
    });
    writeSafetensors(
      join(root, 'lazy'),
      [lazy('b', 'BF16'), lazy('a', 'F16'), lazy('z', 'I64'), lazy('a2', 'BF16')],
      { metadata: { z: '1', a: '2' } },
    );
    expect(order).toEqual(['z', 'a2', 'b', 'a']);
    expect(nodeFs.readFileSync(join(root, 'lazy')).subarray(8).toString()).toMatch(
      /^\{"__metadata__":\{"a":"2","z":"1"\},"z":\{"dtype":"I64","shape":\[1\],"data_offsets":\[0,8\]\},"a2"/,
    );
  });

  it('refuses tensors that do not fit, before or while writing, and leaves nothing', () => {
    const path = join(root, 'refused');
    const tensor = (parts: object) => ({
      name: 'w',
      dtype: 'F32',
      shape: [1],
      bytes: new Uint8Array(4),
      ...parts,
    });
    const cases: [object[], RegExp][] = [
      [[tensor({ bytes: new Uint8Array(3) })], /"w" \(F32 \[1\]\) must have 4 bytes \(got 3/],
      [[tensor({ dtype: 'f32' })], /must be one of BOOL/],
      [[tensor({ dtype: 'toString' })], /must be one of BOOL/],
      [[tensor({}), tensor({})], /"w" occurs twice/],
      [[tensor({ name: '__metadata__' })], /other than __metadata__/],
      [[tensor({ name: '\ud800' })], /valid UTF-8/],
      [[tensor({ shape: [-1] })], /sizes ≥ 0/],
      [[tensor({ shape: [0.5] })], /sizes ≥ 0/],
      [[tensor({ dtype: 'F4', shape: [1] })], /whole number of bytes/],
      [[tensor({ shape: [2 ** 52, 2 ** 52] })], /below 2\^53/],
    ];
    for (const [list, message] of cases)
      expect(errorOf(() => writeSafetensors(path, list as never), 'BAD_ARGUMENT').message).toMatch(message);
    errorOf(() => writeSafetensors(path, [], { metadata: { n: 1 as never } }), 'BAD_ARGUMENT');
    expect(nodeFs.readdirSync(root).filter((name) => name.startsWith('refused'))).toEqual([]);
    errorOf(() => tensorOf('w', [1], new Uint16Array(1) as never), 'BAD_ARGUMENT');
  });

  it('loops where the system takes fewer bytes than it was given', () => {
    const memory = new MemoryFileSystem(); // always takes half
    writeSafetensors('/model', two, { fs: memory.fs });
    const read = new Uint8Array(1000);
    const length = memory.fs.readSync(memory.fs.openSync('/model', 'r'), read, 0, 1000, 0);
    expect(
      safetensorsOf(memoryByteSource(read.subarray(0, length)))
        .tensors.get('w')!
        .readFloat32(),
    ).toEqual(Float32Array.of(1, 2, 3, 4));
  });

  it(
    'a failure of any call is WRITE_FAILED that keeps its cause, removes the temporary file and keeps the ' +
      'older one',
    () => {
      const clean = new MemoryFileSystem();
      writeSafetensors('/model', [], { fs: clean.fs });
      const base = clean.calls;
      writeSafetensors('/model', two, { fs: clean.fs });
      for (let call = 1; call <= clean.calls - base; call++) {
        const memory = new MemoryFileSystem();
        writeSafetensors('/model', [], { fs: memory.fs });
        memory.failAt(memory.calls + call, 'ENOSPC');
        let error: unknown;
        try {
          writeSafetensors('/model', two, { fs: memory.fs });
        } catch (caught) {
          error = caught;
        }
        if (error === undefined) continue; // only the quiet close of the synced folder may fail unseen
        expect(
          errorOf(() => {
            throw error;
          }, 'WRITE_FAILED').message,
        ).toMatch(/^\[write\] \/model could not be written: ENOSPC.*The disk is full/s);
        expect((error as { cause: { code: string } }).cause.code).toBe('ENOSPC');
        expect(memory.fs.readdirSync('/')).toEqual(['model']);
      }
    },
  );

  it('a folder that is not there, a full disk and a size limit are told apart', () => {
    expect(
      errorOf(() => writeSafetensors(join(root, 'no/such/file'), two), 'WRITE_FAILED').details.code,
    ).toBe('ENOENT');
    const toFullDisk = {
      ...nodeFs,
      openSync: (() => nodeFs.openSync('/dev/full', 'w')) as unknown as typeof nodeFs.openSync,
    };
    if (nodeFs.existsSync('/dev/full'))
      expect(
        errorOf(() => writeSafetensors(join(root, 'full'), two, { fs: toFullDisk }), 'WRITE_FAILED').details
          .code,
      ).toBe('ENOSPC');
  });
});
