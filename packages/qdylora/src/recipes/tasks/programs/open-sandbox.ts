import { spawn, spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { temporaryFolder } from '../../../temporary-folder.ts';
import { createLimit } from './create-limit.ts';
import { PYTHON_RUNNER } from './python-runner.ts';

/** Seconds that a program may take: those of Hugging Face's `code_eval`. */
const PROGRAM_SECONDS = 3;
/** Seconds after which the process is killed: its start is not part of a program's time. */
const KILL_SECONDS = 15;
const MEMORY_BYTES = 2 ** 30;

/** Runs Python programs that a model wrote, each in a process of its own. */
export interface Sandbox {
  /** Processes have no network, and die with all that they started (`unshare` of Linux). */
  readonly isIsolated: boolean;
  /** Programs that run at the same time; others wait. More of them would share the processors. */
  readonly programsAtOnce: number;
  /** True if the program, with its tests, ends without an error. Its time begins when its turn comes. */
  passes(program: string, signal?: AbortSignal): Promise<boolean>;
}

/** Namespaces without network, other processes and shared memory; the user is root only inside them. */
const UNSHARE = ['unshare', '--user', '--map-root-user', '--net', '--pid', '--ipc', '--fork', '--kill-child'];

const succeeds = (words: readonly string[]): boolean =>
  spawnSync(words[0], words.slice(1), { stdio: 'ignore', timeout: 10_000 }).status === 0;

/**
 * Finds Python 3 and what isolates it. A program gets PATH, LANG, and a temporary folder as HOME and TMPDIR,
 * and no other variable. It may take 3 s and 1 GiB of memory, and write files of at most 16 MiB. Calls that
 * start processes or remove files are replaced by None. It can still read every file that the user can read:
 * for more protection run the command in a container.
 *
 * @throws QdyloraError UNSUPPORTED without Python 3, and on Windows
 */
export function openSandbox(programsAtOnce = availableParallelism()): Sandbox {
  const python = ['python3', 'python'].map(pythonAt).find((path) => path !== null);
  if (!python)
    throw new QdyloraError('UNSUPPORTED', {
      where: 'allow_code_execution',
      problem: 'Programs are judged by Python 3 on Linux or macOS, and there is no python3 here',
      nextStep: 'Install Python 3, or leave --allow-code-execution out.',
    });
  const isIsolated = succeeds([...UNSHARE, python, '-I', '-c', 'pass']);
  const words = [...(isIsolated ? UNSHARE : []), python, '-I', '-c', PYTHON_RUNNER];
  const inTurn = createLimit(programsAtOnce);
  return {
    isIsolated,
    programsAtOnce,
    passes: (program, signal) =>
      inTurn(async () => !signal?.aborted && (await runProgram(words, program, signal))),
  };
}

/** Python 3 itself, where `name` may be a script that chooses one; null: it is none, or has no limits. */
function pythonAt(name: string): string | null {
  const { status, stdout } = spawnSync(name, ['-I', '-c', CHECK], { timeout: 10_000, encoding: 'utf8' });
  return status === 0 && stdout !== '' ? stdout : null;
}

const CHECK =
  'import sys, resource; sys.stdout.write(sys.executable) if sys.version_info >= (3, 8) else sys.exit(1)';

async function runProgram(
  [command, ...words]: readonly string[],
  program: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const folder = temporaryFolder('qdylora-program-');
  try {
    const file = join(folder, 'program.py');
    writeFileSync(file, program);
    return await new Promise<boolean>((resolve, reject) => {
      const child = spawn(command, [...words, file, String(PROGRAM_SECONDS), String(MEMORY_BYTES)], {
        cwd: folder,
        env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, LANG: 'C.UTF-8' },
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
        detached: true, // a process group of its own, which is killed as a whole
      });
      const kill = (): void => {
        try {
          process.kill(-child.pid!, 'SIGKILL');
        } catch {
          // it has ended
        }
      };
      const timer = setTimeout(kill, KILL_SECONDS * 1000);
      signal?.addEventListener('abort', kill);
      let report = '';
      child.stdio[3]!.on('data', (bytes: Buffer) => {
        report += bytes.toString().slice(0, PASSED.length + 1 - report.length);
      });
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', kill);
      };
      child.on('error', (error) => {
        end(); // a program that could not be started does not exit
        reject(error);
      });
      child.on('exit', () => {
        kill();
        end();
      });
      child.on('close', () => resolve(report === PASSED));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const PASSED = 'passed';
