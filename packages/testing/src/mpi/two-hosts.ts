import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { watchLaunch, type LaunchOutcome } from './launch.ts';

/** The cable between two hosts. */
export interface Link {
  readonly megabitsPerSecond: number;
  /** In each direction; a round trip takes twice as long. */
  readonly delayMilliseconds: number;
}

/** Two hosts: network namespaces of this machine, joined by a cable with a rate and a delay. */
export interface TwoHosts extends Disposable {
  /** Runs `node` with these arguments on Open MPI's workers, as many on each host. */
  launch(
    workersPerHost: number,
    nodeArgs: readonly string[],
  ): { readonly child: ChildProcess; readonly outcome: Promise<LaunchOutcome> };
  /** Cuts the cable: packets vanish, as if the second host had lost its power. */
  cut(): void;
}

const SOURCE = fileURLToPath(new URL('../../native/shaped-link.cpp', import.meta.url));
const DEVICE = 'link0';
const ADDRESSES = ['10.77.41.1', '10.77.41.2'] as const;
/** Large packets: the relay moves each with a call or two. */
const MTU = 60_000;

/** Why there can be no two hosts here; null: there can. */
export function whyNoTwoHosts(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux has namespaces';
  const missing = ['ip', 'unshare', 'g++', 'mpirun.openmpi'].find(
    (command) => spawnSync('which', [command]).status !== 0,
  );
  return missing ? `there is no ${missing}` : null;
}

/**
 * Makes two hosts. They go away when the result is disposed.
 *
 * @throws Error where `whyNoTwoHosts` gives a reason
 */
export async function twoHosts({ megabitsPerSecond, delayMilliseconds }: Link): Promise<TwoHosts> {
  const folder = mkdtempSync(join(tmpdir(), 'qdylora-hosts-'));
  const names = ADDRESSES.map((_, i) => `qdylora-${process.pid}-${i}`);
  const binary = join(folder, 'shaped-link');
  run('g++', ['-O2', '-std=c++17', SOURCE, '-o', binary]);
  for (const name of names) {
    run('ip', ['netns', 'add', name]);
    run('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  }
  const link = spawn(binary, [...names, DEVICE, String(megabitsPerSecond), String(delayMilliseconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((ready) => link.stdout.once('data', ready));
  names.forEach((name, i) => {
    const [own, other] = i === 0 ? ADDRESSES : ADDRESSES.toReversed();
    run('ip', ['-n', name, 'addr', 'add', own, 'peer', other, 'dev', DEVICE]);
    run('ip', ['-n', name, 'link', 'set', DEVICE, 'up', 'mtu', String(MTU)]);
  });
  const agent = join(folder, 'agent.sh'); // in place of ssh: the address, then a command
  writeFileSync(agent, `#!/bin/sh\nshift\nexec ${onHost(names[1], ADDRESSES[1], '"$*"')}\n`);
  chmodSync(agent, 0o755);
  return {
    launch(workersPerHost, nodeArgs) {
      const words = [
        ...['mpirun.openmpi', '--allow-run-as-root', '--bind-to', 'none', '--map-by', 'node'],
        ...['--mca', 'plm_ssh_agent', agent, '--mca', 'btl', 'tcp,sm,self'],
        ...['--host', ADDRESSES.map((address) => `${address}:${workersPerHost}`).join(',')],
        ...['-np', String(2 * workersPerHost), process.execPath, ...nodeArgs],
      ];
      const child = spawn('sh', ['-c', `exec ${onHost(names[0], ADDRESSES[0], '"$0"')}`, shellLine(words)], {
        env: { ...process.env, ...QUICK_TO_NOTICE, OMPI_MCA_mpi_yield_when_idle: '1' },
      });
      return { child, outcome: watchLaunch(child) };
    },
    cut() {
      link.kill('SIGUSR1');
    },
    [Symbol.dispose]() {
      link.kill('SIGKILL');
      for (const name of names) spawnSync('ip', ['netns', 'delete', name]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** As in `qdylora launch`, but sooner: Open MPI would notice a host that is gone after five minutes. */
const QUICK_TO_NOTICE = {
  PRTE_MCA_oob_tcp_keepalive_time: '5',
  PRTE_MCA_oob_tcp_keepalive_intvl: '2',
  PRTE_MCA_oob_tcp_keepalive_probes: '3',
};

/** The start of a shell command that runs another one on a host, which has its address as name. */
const onHost = (namespace: string, address: string, command: string): string =>
  `ip netns exec ${namespace} unshare -u sh -c 'hostname ${address}; exec sh -c "$1"' sh ${command}`;

const shellLine = (words: readonly string[]): string =>
  words.map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(' ');

function run(command: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${stderr}`);
}
