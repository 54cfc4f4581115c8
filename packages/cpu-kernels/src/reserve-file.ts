import { getSystemErrorName } from 'node:util';
import { loadAddon } from './load-addon.ts';

/** Takes `bytes` of the disk for an open file. @throws an error with the system's code, such as ENOSPC */
export type ReserveFile = (fd: number, bytes: number) => void;

/** posix_fallocate, in no time for any size; undefined without an addon, and where the system has no such call. */
export function fileReserver(addonPath?: string): ReserveFile | undefined {
  const { addon } = loadAddon(addonPath);
  if (!addon || process.platform !== 'linux') return undefined;
  return (fd, bytes) => {
    const error = addon.reserveFile(fd, bytes);
    if (error === 0) return;
    const code = getSystemErrorName(-error);
    throw Object.assign(new Error(`${code}: posix_fallocate of ${bytes} bytes`), { code, errno: -error, syscall: 'posix_fallocate' });
  };
}
