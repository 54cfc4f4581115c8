import type { FileSystem } from './file-system.ts';

/** Bytes per system call: Node's length argument is a signed 32-bit number. */
const WRITE_PIECE_BYTES = 2 ** 30;

/** Writes all bytes. A write may take fewer bytes than given; a full disk shows only on the next one. */
export function writeAll(
  fd: number,
  bytes: Uint8Array,
  fs: FileSystem,
  position: number | null = null,
): void {
  for (let done = 0; done < bytes.length;) {
    const wrote = fs.writeSync(
      fd,
      bytes,
      done,
      Math.min(WRITE_PIECE_BYTES, bytes.length - done),
      position === null ? null : position + done,
    );
    if (wrote <= 0) throw tookNoBytes();
    done += wrote;
  }
}

/** The error for a system that writes nothing and reports nothing. */
export const tookNoBytes = (): Error => Object.assign(new Error('the system took no bytes'), { code: 'EIO' });
