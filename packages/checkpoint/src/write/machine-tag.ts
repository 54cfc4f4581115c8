import { createHash } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

let tag: string | null = null;

/**
 * Six hex digits for the place that process numbers belong to: this machine since its last start, and the
 * container, if there is one. Another machine that shares a disk has other digits.
 */
export function machineTag(): string {
  tag ??= createHash('sha256')
    .update(hostname())
    .update(textOf(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')))
    .update(textOf(() => readlinkSync('/proc/self/ns/pid')))
    .digest('hex')
    .slice(0, 6);
  return tag;
}

/** The content of a file of Linux; empty on other systems. */
function textOf(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
