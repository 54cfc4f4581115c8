import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryPlace } from '../../test/tiny-model.ts';
import { allowedProcessors, usableSockets, type ProcessorFiles } from './processors.ts';

const place = temporaryPlace();
let machines = 0;

/** The files of a made-up machine: the socket of each processor, and which ones the process may use. */
function machine(sockets: readonly (number | null)[], allowed: string): ProcessorFiles {
  const folder = place.in(`machine-${machines++}`);
  const topology = join(folder, 'cpu');
  mkdirSync(join(topology, 'cpufreq'), { recursive: true });
  sockets.forEach((socket, processor) => {
    mkdirSync(join(topology, `cpu${processor}`, 'topology'), { recursive: true });
    if (socket !== null)
      writeFileSync(join(topology, `cpu${processor}`, 'topology', 'physical_package_id'), `${socket}\n`);
  });
  const status = join(folder, 'status');
  writeFileSync(status, `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\nMems_allowed:\t1\n`);
  return { status, topology };
}

describe('the processors of a process', () => {
  it.each([
    ['0-3', [0, 1, 2, 3]],
    ['0,2,8-9', [0, 2, 8, 9]],
    ['5', [5]],
  ])('are those of its affinity: %s', (list, processors) => {
    expect(allowedProcessors(machine([], list))).toEqual(processors);
  });

  it('are unknown where the system does not say', () => {
    expect(allowedProcessors({ status: place.in('nothing') })).toEqual([]);
    expect(usableSockets({ status: place.in('nothing'), topology: place.in('nothing') })).toBe(1);
  });

  it.each([
    ['two sockets', [0, 0, 1, 1], '0-3', 2],
    ['the socket that a container leaves over', [0, 0, 1, 1], '2-3', 1],
    ['sockets whose processors take turns', [0, 1, 0, 1], '0-3', 2],
    ['four sockets, of which one is offline', [0, 1, 2, null], '0-3', 3],
    ['a virtual machine without sockets', [-1, -1], '0-1', 1],
  ])('are on %s', (_, sockets, allowed, count) => {
    expect(usableSockets(machine(sockets, allowed))).toBe(count);
  });
});
