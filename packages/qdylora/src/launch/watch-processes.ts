import { spawnSync } from 'node:child_process';
import { constants, openSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';

/** The process of a worker that has ended. */
export interface EndedProcess {
  readonly rank: number;
  readonly pid: number;
}

/** Watches the processes of workers on this machine. */
export interface ProcessWatch extends Disposable {
  /** In the order of their ends. The first one ended by itself; a launcher ends the others. */
  readonly ended: readonly EndedProcess[];
  /** The processes that have said their number and not ended yet. */
  running(): number[];
  /** The command of a worker, by which it is watched. It does nothing else where it runs on another host. */
  watched(command: readonly string[]): string[];
}

/**
 * Watches workers from before they run. Each keeps one end of a pipe open, which the system closes when its
 * process ends, however it ends. A shell opens it, and then becomes the worker. (Of MPICH's launcher the
 * message names a process, but not always the one that failed.)
 *
 * @param folder for the pipes
 */
export function watchProcesses(folder: string, workers: number): ProcessWatch {
  const ended: EndedProcess[] = [];
  const running = new Map<number, number>();
  const paths = Array.from({ length: workers }, (_, rank) => join(folder, `process-${rank}`));
  spawnSync('mkfifo', paths);
  const pipes = paths.map((path, rank) => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const socket = new Socket({ fd, readable: true, writable: false });
    let pid = '';
    const hear = (text: string): void => {
      if (!text) return;
      pid += text;
      running.set(rank, Number(pid));
    };
    socket.on('data', (text: Buffer) => hear(String(text)));
    socket.on('end', () => {
      running.delete(rank);
      ended.push({ rank, pid: Number(pid) });
    });
    socket.unref();
    return { fd, socket, hear };
  });
  return {
    ended,
    running: () => {
      // a number may lie in its pipe before the event loop reads it
      for (const { fd, socket, hear } of pipes) if (!socket.destroyed) hear(textIn(fd));
      return [...running.values()];
    },
    watched: (command) => ['sh', '-c', OPEN_PIPE, folder, ...command],
    [Symbol.dispose]() {
      for (const { socket } of pipes) socket.destroy();
    },
  };
}

/** What lies in a pipe now; a process number is written at once. */
function textIn(fd: number): string {
  const bytes = Buffer.alloc(32);
  try {
    return bytes.toString('latin1', 0, readSync(fd, bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return '';
    throw error;
  }
}

/**
 * Opens the pipe of this worker, says its process, and becomes the command. The launcher's own open files
 * must stay as they are (`PMI_FD` of MPICH), so the pipe gets a number that is free.
 */
const OPEN_PIPE = [
  'pipe="$0/process-${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"',
  'for n in 9 8 7 6 5 4 3; do',
  '  if [ -p "$pipe" ] && [ ! -e /dev/fd/$n ]; then eval "exec $n>\\$pipe; echo \\$\\$ >&$n"; break; fi',
  'done',
  'exec "$@"',
].join('\n');
