import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where Linux describes a process and its processors. */
export interface ProcessorFiles {
  /** `/proc/self/status` by default. */
  readonly status?: string;
  /** `/sys/devices/system/cpu` by default. */
  readonly topology?: string;
}

/**
 * Numbers of the processors that this process may run on: its affinity, as a launcher, `taskset` or a
 * container sets it. Empty where the system does not say (not Linux).
 */
export function allowedProcessors({ status = '/proc/self/status' }: ProcessorFiles = {}): number[] {
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(textOf(status)) ?? [];
  return list
    .split(',')
    .filter((range) => range !== '')
    .flatMap((range) => {
      const [from, to = from] = range.split('-').map(Number);
      return Array.from({ length: to - from + 1 }, (_, i) => from + i);
    });
}

/** Number of sockets with a processor that this process may run on; 1 where the system does not say. */
export function usableSockets(files: ProcessorFiles = {}): number {
  const { topology = '/sys/devices/system/cpu' } = files;
  const allowed = new Set(allowedProcessors(files));
  const sockets = namesIn(topology).flatMap((name) => {
    const [, number] = /^cpu(\d+)$/.exec(name) ?? [];
    if (number === undefined || !allowed.has(Number(number))) return [];
    const socket = textOf(join(topology, name, 'topology', 'physical_package_id')).trim();
    return /^\d+$/.test(socket) ? [socket] : []; // virtual machines say −1; an offline processor nothing
  });
  return Math.max(1, new Set(sockets).size);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
