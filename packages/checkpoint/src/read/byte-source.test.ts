import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  openSync,
  ftruncateSync,
  writeSync,
  closeSync,
  renameSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { cpuStopwatch } from '../test-support/cpu-stopwatch.ts';
import { errorOf } from '../test-support/error-of.ts';
import { safetensorsBytes } from '../test-support/safetensors-bytes.ts';
import { temporaryFolder } from '@qdylora/testing/node';
import { openByteSource } from './byte-source.ts';
import { openSafetensors } from '../safetensors/open-safetensors.ts';

const root = temporaryFolder();
const at = (name: string): string => join(root, name);
const one = safetensorsBytes(
  { w: { dtype: 'U8', shape: [4], data_offsets: [0, 4] } },
  Uint8Array.of(1, 2, 3, 4),
);

describe('a file that is opened', () => {
  it('is not waited for when it is a FIFO, and not read when it is a folder or a device', () => {
    execFileSync('mkfifo', [at('fifo')]);
    mkdirSync(at('folder'));
    expect(errorOf(() => openSafetensors(at('fifo')), 'BAD_FILE').message).toMatch(
      /fifo: This is a FIFO, not a regular file/,
    );
    expect(errorOf(() => openSafetensors(at('folder')), 'BAD_FILE').message).toMatch(/This is a folder/);
    expect(errorOf(() => openSafetensors('/dev/zero'), 'BAD_FILE').message).toMatch(/This is a device/);
  });

  it('is MISSING_FILE where there is none, also behind a broken link or below a file', () => {
    symlinkSync(at('nowhere'), at('broken'));
    writeFileSync(at('plain'), '');
    for (const name of ['nowhere', 'broken', 'plain/below'])
      expect(errorOf(() => openSafetensors(at(name)), 'MISSING_FILE').details.path).toBe(at(name));
  });

  it('is read through one descriptor: another file moved to its name changes nothing', () => {
    writeFileSync(at('swapped'), one);
    writeFileSync(at('other'), 'something else entirely');
    const file = openSafetensors(at('swapped'));
    renameSync(at('other'), at('swapped'));
    expect(file.tensors.get('w')!.readBytes()).toEqual(Uint8Array.of(1, 2, 3, 4));
    file.dispose();
  });

  it('that shrinks while it is open is a BAD_FILE error, not zeros', () => {
    writeFileSync(at('shrinking'), one);
    const file = openSafetensors(at('shrinking'));
    truncateSync(at('shrinking'), one.length - 2);
    expect(errorOf(() => file.tensors.get('w')!.readBytes(), 'BAD_FILE').message).toMatch(
      /only 2 of the 4 bytes at \d+\. The file shrank/,
    );
    file.dispose();
  });

  it('cannot be read after dispose, and dispose twice is fine', () => {
    writeFileSync(at('closed'), one);
    const file = openSafetensors(at('closed'));
    file.dispose();
    file.dispose();
    errorOf(() => file.tensors.get('w')!.readBytes(), 'DISPOSED');
  });

  it('of a tebibyte without contents is refused at once', () => {
    const fd = openSync(at('sparse'), 'w');
    ftruncateSync(fd, 2 ** 40);
    const elapsed = cpuStopwatch();
    expect(errorOf(() => openSafetensors(at('sparse')), 'BAD_FILE').message).toMatch(/must begin with \{/);
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, 100_000_000n, true);
    writeSync(fd, length, 0, 8, 0);
    // before the 100 MB are read
    expect(errorOf(() => openSafetensors(at('sparse')), 'BAD_FILE').message).toMatch(/must begin with \{/);
    closeSync(fd);
    expect(elapsed()).toBeLessThan(1000);
  });

  it('gives a typed error for a tensor that memory cannot hold', () => {
    const fd = openSync(at('huge'), 'w');
    const size = 2 ** 46;
    try {
      const header = safetensorsBytes({ w: { dtype: 'U8', shape: [size], data_offsets: [0, size] } });
      writeSync(fd, header);
      try {
        ftruncateSync(fd, header.length + size);
      } catch {
        return;
      } // this file system stops earlier
    } finally {
      closeSync(fd);
    }
    const file = openSafetensors(at('huge'));
    expect(errorOf(() => file.tensors.get('w')!.readBytes(), 'OUT_OF_MEMORY').details.requiredBytes).toBe(
      size,
    );
    const end = new Uint8Array(2);
    file.tensors.get('w')!.readInto(end, size - 2); // beyond 4 GiB, piece by piece
    expect(end).toEqual(Uint8Array.of(0, 0));
    file.dispose();
  });

  it('without permission is a BAD_FILE error with its cause', () => {
    if (process.getuid?.() === 0) return; // root may read everything
    writeFileSync(at('secret'), one, { mode: 0 });
    expect(errorOf(() => openByteSource(at('secret'), 'safetensors'), 'BAD_FILE').cause).toBeInstanceOf(
      Error,
    );
  });
});
