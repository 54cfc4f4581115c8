import { getSystemErrorName } from 'node:util';
import { assertArgument } from '@qdylora/contract';
import { loadAddon } from '../load-addon.ts';

/**
 * Reserves `bytes` of the disk for an open file.
 *
 * @throws an error with the system's code, such as ENOSPC; QdyloraError BAD_ARGUMENT
 */
export type ReserveFile = (fd: number, bytes: number) => void;

/** More than any disk has: native/door/reserve-file.cpp. */
const MOST_BYTES = 1e15;

/**
 * posix_fallocate, which is fast for any size; undefined without an addon, and where the system has no such
 * call.
 */
export function fileReserver(addonPath?: string): ReserveFile | undefined {
  const { addon } = loadAddon(addonPath);
  if (!addon || process.platform !== 'linux') return undefined;
  return (fd, bytes) => {
    assertArgument(
      Number.isInteger(fd),
      'reserve-file',
      `\`fd\` must be the number of an open file (got ${String(fd)})`,
    );
    assertArgument(
      bytes >= 1 && bytes < MOST_BYTES,
      'reserve-file',
      `\`bytes\` must be within 1…${MOST_BYTES} (got ${String(bytes)})`,
    );
    const error = addon.reserveFile(fd, bytes);
    if (error === 0) return;
    const code = getSystemErrorName(-error);
    throw Object.assign(new Error(`${code}: posix_fallocate of ${bytes} bytes`), {
      code,
      errno: -error,
      syscall: 'posix_fallocate',
    });
  };
}
