import { randomBytes } from 'node:crypto';
import { machineTag } from './machine-tag.ts';

/**
 * `<path>.tmp-<pid>-<machine><nonce>`: beside its target, so that the rename stays within one file system,
 * and traceable to a process.
 */
export const temporaryName = (path: string, kind: 'tmp' | 'old' = 'tmp'): string =>
  `${path}.${kind}-${process.pid}-${machineTag()}${randomBytes(3).toString('hex')}`;

/** The parts of a name of `temporaryName`: a leftover, if its process was killed; null for other names. */
export function parseTemporaryName(name: string): TemporaryName | null {
  const [, target, kind, pid, machine] = /^(.+)\.(tmp|old)-(\d+)-([0-9a-f]{6})[0-9a-f]{6}$/.exec(name) ?? [];
  return target === undefined
    ? null
    : { target, kind, pid: Number(pid), isOfMachine: machine === machineTag() };
}

/** The parts of a temporary name: its target, its kind, and the process that made it. */
export interface TemporaryName {
  /** Name of the file or folder that it belongs to. */
  readonly target: string;
  /** `tmp` for one being written or deleted, `old` for a folder that is being replaced. */
  readonly kind: string;
  readonly pid: number;
  /** Whether `pid` is a number of this machine. */
  readonly isOfMachine: boolean;
}
