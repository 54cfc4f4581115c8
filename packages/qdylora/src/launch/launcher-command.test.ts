import { afterEach, describe, expect, it } from 'vitest';
import { COLLECTIVE_SECONDS, collectiveSeconds, LAUNCH_WORDS } from '../cli/read-env.ts';
import { mpichFlags, openMpiFlags, type WorkerPlaces } from './launcher-command.ts';

const BOUND = { 'Open MPI': ['--map-by', 'socket', '--bind-to', 'socket'], MPICH: ['-bind-to', 'socket'] };

it.each<[string, WorkerPlaces, boolean]>([
  ['one worker for each of two sockets', { workers: 2, hosts: [], sockets: 2 }, true],
  ['two workers for each of two sockets', { workers: 4, hosts: [], sockets: 2 }, true],
  ['one for each socket of two hosts', { workers: 4, hosts: ['a', 'b'], sockets: 2 }, true],
  ['three workers on two sockets', { workers: 3, hosts: [], sockets: 2 }, false],
  ['two workers on one socket', { workers: 2, hosts: [], sockets: 1 }, false],
  ['hosts of one and of three', { workers: 4, hosts: ['a:1', 'b:3'], sockets: 2 }, false],
  ['two hosts with one worker each', { workers: 2, hosts: ['a', 'b'], sockets: 2 }, false],
])('%s', (_, places, isBound) => {
  const openMpi = openMpiFlags(places);
  expect(openMpi.join(' ').includes(BOUND['Open MPI'].join(' '))).toBe(isBound);
  expect(openMpi.includes('none')).toBe(!isBound);
  expect(mpichFlags(places).join(' ').includes(BOUND.MPICH.join(' '))).toBe(isBound);
  expect(openMpi.join(' ')).toContain(`-np ${places.workers}`);
});

it('Open MPI gets as many places on each host as workers need, and more than cores on this machine', () => {
  const places = { workers: 5, hosts: ['a', 'b:8'], sockets: 1 };
  expect(openMpiFlags(places).join(' ')).toContain('-np 5 --host a:1,b:8');
  expect(openMpiFlags(places)).not.toContain('--oversubscribe');
  expect(openMpiFlags({ workers: 5, hosts: [], sockets: 1 })).toContain('--oversubscribe');
  expect(mpichFlags(places).join(' ')).toContain('-np 5 -hosts a,b:8');
});

it.each([
  [6, ['a:2', 'b'], 'a:2,b:4'],
  [6, ['a:2', 'b', 'c'], 'a:2,b:2,c:2'],
  [5, ['a', 'b'], 'a:3,b:3'],
  [4, ['a:2', 'b:2'], 'a:2,b:2'],
])('Open MPI has slots for %i workers on the hosts %j', (workers, hosts, slots) => {
  expect(openMpiFlags({ workers, hosts, sockets: 1 }).join(' ')).toContain(`--host ${slots}`);
});

it('Open MPI passes to other hosts that workers print no colours', () => {
  const flagsFor = (hosts: string[], hasColor: boolean) =>
    openMpiFlags({ workers: 2, hosts, sockets: 1, hasColor });
  expect(flagsFor(['a', 'b'], false).join(' ')).toContain('-x NO_COLOR');
  expect(flagsFor(['a', 'b'], true)).not.toContain('NO_COLOR');
  expect(flagsFor([], false)).not.toContain('-x');
});

it('Open MPI passes to other hosts the words that started them, which errors repeat', () => {
  const flagsFor = (hosts: string[]) => openMpiFlags({ workers: 2, hosts, sockets: 1 }).join(' ');
  expect(flagsFor(['a', 'b'])).toContain(`--host a:1,b:1 -x ${LAUNCH_WORDS}`);
  expect(flagsFor([])).not.toContain(LAUNCH_WORDS);
});

describe('the name of the MPI library', () => {
  const name = 'QDYLORA_MPI_LIBRARY';
  const before = process.env[name];
  afterEach(() => {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  });

  it('is given to other hosts where it is set', () => {
    const flagsFor = (hosts: string[]) => openMpiFlags({ workers: 2, hosts, sockets: 1 }).join(' ');
    process.env[name] = '/opt/libmpi.so';
    expect(flagsFor(['a', 'b'])).toContain(`-x ${name}`);
    expect(flagsFor([])).not.toContain('-x');
    delete process.env[name];
    expect(flagsFor(['a', 'b'])).not.toContain(name);
  });
});

describe('the time of collectives', () => {
  afterEach(() => {
    delete process.env[COLLECTIVE_SECONDS];
  });

  it('is given to other hosts, to which Open MPI passes no variable by itself', () => {
    process.env[COLLECTIVE_SECONDS] = '3600';
    const flagsFor = (hosts: string[]) => openMpiFlags({ workers: 2, hosts, sockets: 1 }).join(' ');
    expect(flagsFor(['a', 'b'])).toContain(`-x ${COLLECTIVE_SECONDS}`);
    expect(flagsFor([])).not.toContain('-x');
  });

  it('is refused by its name where it is no number', () => {
    process.env[COLLECTIVE_SECONDS] = '10min';
    expect(collectiveSeconds).toThrow(/\[QDYLORA_COLLECTIVE_SECONDS\] It must be .* \(got 10min\)/);
    process.env[COLLECTIVE_SECONDS] = 'Infinity';
    expect(collectiveSeconds).toThrow(/It must be .* \(got Infinity\)/);
  });
});
