import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { command } from '../../test/run-command.ts';
import { temporaryPlace } from '../../test/tiny-model.ts';
import { launchWorkers } from './launch-workers.ts';

const place = temporaryPlace();
const { PATH } = process.env;

afterEach(() => {
  process.env.PATH = PATH;
});

/** Puts a launcher first that ends with status 0 after these lines of a shell. */
function useLauncher(lines: string): void {
  const file = place.in('mpirun');
  writeFileSync(
    file,
    `#!/bin/sh\n[ "$1" = --version ] && echo 'mpirun (Open MPI) 5.0.7' && exit 0\n${lines}\n`,
  );
  chmodSync(file, 0o755);
  process.env.PATH = [place.in('.'), PATH].join(delimiter);
}

async function launchTwo(
  hosts: readonly string[],
  {
    maxRestarts = 0,
    signal = new AbortController().signal,
    hasColor = true,
  }: { maxRestarts?: number; signal?: AbortSignal; hasColor?: boolean } = {},
) {
  const notes: string[] = [];
  const status = await launchWorkers({
    workers: 2,
    hosts,
    sockets: 1,
    launcher: null,
    hasColor,
    maxRestarts,
    words: ['train', 'run.yaml'],
    launchWords: ['launch', 'run.yaml', '-n', '2'],
    signal,
    note: (text) => notes.push(text),
  });
  return { status, notes };
}

it.each([
  [2, 2, 'of bad options'],
  [130, 130, 'of Ctrl-C'],
  [143, 130, 'of SIGTERM'],
  [15, 130, 'of SIGTERM, as MPICH says it'],
  [9, 1, 'of another failure'],
])('status %i of the workers gives the command status %i, that %s', async (status, expected) => {
  useLauncher(`exit ${status}`);
  expect((await command('launch', 'run.yaml', '-n', '2')).code).toBe(expected);
});

it.each(['', 'a,', 'a,,b'])('refuses the hosts %j, one of which has no name', async (hosts) => {
  useLauncher('exit 0');
  const { code, err } = await command('launch', 'run.yaml', '--hosts', hosts);
  expect([code, err]).toEqual([2, expect.stringContaining(`[--hosts] A host has no name (got "${hosts}").`)]);
});

it('refuses a TMPDIR that cannot be written, by its name', async () => {
  const { TMPDIR } = process.env;
  process.env.TMPDIR = place.in('nowhere');
  useLauncher('exit 0');
  try {
    await expect(launchTwo([])).rejects.toMatchObject({ code: 'WRITE_FAILED', where: 'TMPDIR' });
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
});

it('takes status 0 for a failure where a worker has not finished', async () => {
  useLauncher('touch "$QDYLORA_WORKER_SIGNS/finished-1"');
  const { status, notes } = await launchTwo([]);
  expect(status).toBe(1);
  expect(notes).toEqual(['The launcher ended with status 0, but only 1 of 2 workers finished.']);
});

/** The launcher's last words are its program: here each worker runs the lines in WORKER. */
const START_BOTH = `while [ "$1" != sh ]; do shift; done
  PMI_RANK=0 "$1" "$2" "$3" "$4" sh -c "$WORKER" & first=$!
  PMI_RANK=1 "$1" "$2" "$3" "$4" sh -c "$WORKER" & second=$!`;

it.each([[[]], [['a', 'b']]])('gives the workers on hosts %j the words of `launch`', async (hosts) => {
  const seen = place.in(`words of ${hosts.length}`);
  useLauncher(`printf %s "$QDYLORA_LAUNCH_WORDS" > '${seen}'; exit 2`);
  await launchTwo(hosts);
  expect(JSON.parse(readFileSync(seen, 'utf8'))).toEqual(['launch', 'run.yaml', '-n', '2']);
});

it.each([
  [false, '1'],
  [true, 'unset'],
])('lets workers print colours only where its own output has them (%s)', async (hasColor, expected) => {
  const seen = place.in(`colours ${hasColor}`);
  const { NO_COLOR } = process.env;
  delete process.env.NO_COLOR;
  try {
    useLauncher(`printf %s "\${NO_COLOR-unset}" > '${seen}'; exit 2`);
    await launchTwo([], { hasColor });
  } finally {
    if (NO_COLOR !== undefined) process.env.NO_COLOR = NO_COLOR;
  }
  expect(readFileSync(seen, 'utf8')).toBe(expected);
});

it.each([0, 1])('names worker %i where it is the first to be killed', async (rank) => {
  const [killed, other] = rank === 0 ? ['first', 'second'] : ['second', 'first'];
  const ready = place.in(`${killed} is ready `);
  process.env.WORKER = `touch '${ready}'$PMI_RANK; exec sleep 60`;
  useLauncher(`${START_BOTH}
    for i in $(seq 500); do [ -e '${ready}0' ] && [ -e '${ready}1' ] && break; sleep 0.02; done
    kill -9 $${killed}; wait $${killed}; sleep 1; kill -9 $${other}; wait; exit 9`);
  const { status, notes } = await launchTwo([]);
  expect(status).toBe(9);
  expect(notes).toEqual([
    expect.stringMatching(
      new RegExp(`^\\[worker ${rank} of 2\\] Its process \\d+ ended first, without an error\\.$`),
    ),
  ]);
});

it('stops the workers, not their launcher, which would kill them before they save', async () => {
  const stopped = (name: string): string => place.in(`stopped-${name}`);
  const worker = `trap 'touch ${stopped('')}$PMI_RANK; exit 130' TERM
    touch ${stopped('ready-')}$PMI_RANK
    for i in $(seq 500); do sleep 0.02; done`;
  useLauncher(`trap 'touch ${stopped('launcher')}' TERM
    ${START_BOTH}
    wait $first $second; exit 130`);
  process.env.WORKER = worker;
  const controller = new AbortController();
  const outcome = launchTwo([], { maxRestarts: 3, signal: controller.signal });
  await expect.poll(() => [0, 1].every((rank) => existsSync(stopped(`ready-${rank}`)))).toBe(true);
  controller.abort();
  expect((await outcome).status).toBe(130);
  expect(['0', '1', 'launcher'].map((name) => existsSync(stopped(name)))).toEqual([true, true, false]);
});

it('leaves the files that the launcher opened for a worker as they are', async () => {
  const seen = place.in('seen');
  useLauncher(`while [ "$1" != sh ]; do shift; done
    PMI_RANK=0 "$1" "$2" "$3" "$4" sh -c 'echo mine >&9' 9>${seen}; exit 1`);
  await launchTwo([]);
  expect(readFileSync(seen, 'utf8')).toBe('mine\n');
});

it('shows the error of a worker that its launcher lost, and no error twice', async () => {
  useLauncher(`cd "$QDYLORA_WORKER_SIGNS"
    printf '[worker 0 of 2: data] No row.\\n  Look at x.' > error-0
    printf '[worker 1 of 2: data] No column.' > error-1
    printf '\\033[31m[worker 1 of 2: data] No column.\\033[39m\\n' >&2
    exit 2`);
  expect((await launchTwo([])).notes).toEqual(['[worker 0 of 2: data] No row.\n  Look at x.']);
});

it('starts again after such a failure, and ends with 0 once all have finished', async () => {
  const tried = place.in('tried');
  useLauncher(`[ -e ${tried} ] && cd "$QDYLORA_WORKER_SIGNS" && touch finished-0 finished-1\ntouch ${tried}`);
  const { status, notes } = await launchTwo([], { maxRestarts: 2 });
  expect(status).toBe(0);
  expect(notes).toHaveLength(2);
  expect(notes[1]).toContain('start 1 of 2');
});

it('starts again after the launcher itself was killed, once its workers have ended', async () => {
  const [tried, ready, ended] = ['tried', 'ready ', 'ended '].map((name) => place.in(`${name} after a kill`));
  process.env.WORKER = `trap "touch '${ended}'$PMI_RANK; exit 130" TERM
    touch '${ready}'$PMI_RANK
    for i in $(seq 500); do sleep 0.02; done`;
  useLauncher(`if [ -e '${tried}' ]; then
      [ -e '${ended}0' ] && [ -e '${ended}1' ] || exit 3
      cd "$QDYLORA_WORKER_SIGNS" && touch finished-0 finished-1; exit 0
    fi
    touch '${tried}'
    ${START_BOTH}
    for i in $(seq 500); do [ -e '${ready}0' ] && [ -e '${ready}1' ] && break; sleep 0.02; done
    kill -9 $$`);
  const { status, notes } = await launchTwo([], { maxRestarts: 1 });
  expect([status, notes.at(-1)]).toEqual([
    0,
    expect.stringContaining('The workers ended with status 137: start 1 of 1'),
  ]);
});

it('takes a lost host for a failure, also where its message comes in two pieces', async () => {
  useLauncher(`printf 'PRTE has lost communi' >&2; sleep 0.5; echo 'cation with a remote daemon.' >&2`);
  expect((await launchTwo(['a', 'b'])).status).toBe(1);
});

it('relies on the status where workers run on other hosts, whose files it does not see', async () => {
  useLauncher('exit 0');
  expect(await launchTwo(['a', 'b'])).toEqual({ status: 0, notes: [] });
});
