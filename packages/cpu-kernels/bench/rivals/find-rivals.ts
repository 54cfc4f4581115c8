import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startRival, type RivalProcess } from './rival-process.ts';

/** One program with the methods that it offers. */
export interface Rival {
  readonly process: RivalProcess;
  readonly methods: readonly string[];
}

/** The rivals of this machine, and why the others are missing. */
export interface Rivals {
  readonly found: readonly Rival[];
  readonly leftOut: Readonly<Record<string, string>>;
  end(): void;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * OpenBLAS core types that are tried: its own choice, and Haswell's, which is faster on Zen 4 than the
 * Cooperlake that it chooses there.
 */
const CORE_TYPES = ['', 'Haswell'];

/**
 * Starts what this machine has: OpenBLAS and oneDNN (compiled against where g++ is there), bitsandbytes under
 * the Python that `peersPython` names. All take `threads`, and huge pages as our weights have them.
 */
export async function findRivals(threads: number, peersPython: string | undefined): Promise<Rivals> {
  const found: Rival[] = [];
  const leftOut: Record<string, string> = {};
  const common = {
    OMP_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
    GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1',
  };
  const start = async (
    name: string,
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<void> => {
    const process = startRival(command, args, { ...common, ...env });
    try {
      const methodNames = found.flatMap(({ methods }) => methods);
      const methods = (await process.ask('methods'))
        .split(' ')
        .filter((method) => method && !methodNames.includes(method));
      if (methods.length) found.push({ process, methods });
      else process.end();
    } catch (error) {
      leftOut[name] = (error as Error).message;
      process.end();
    }
  };
  const libraries = buildLibraryRivals();
  if (libraries.path)
    for (const core of CORE_TYPES)
      await start('openblas, onednn', libraries.path, [], core ? { OPENBLAS_CORETYPE: core } : {});
  else leftOut['openblas, onednn'] = libraries.why;
  if (peersPython) await start('bitsandbytes', peersPython, [here('bitsandbytes-rival.py')]);
  else leftOut.bitsandbytes = 'QDYLORA_PEERS_PYTHON names no Python with torch and bitsandbytes';
  const has = (name: string): boolean =>
    found.some(({ methods }) => methods.some((method) => method.includes(name)));
  if (libraries.path && !has('openblas'))
    leftOut.openblas = 'libopenblas.so.0 was not found (Debian: libopenblas0-openmp)';
  if (libraries.path && !has('onednn'))
    leftOut.onednn = 'its headers or library were not found (Debian: libdnnl-dev)';
  return { found, leftOut, end: () => found.forEach(({ process }) => process.end()) };
}

/** Compiles library-rivals.cpp for this machine, with oneDNN where that works. */
function buildLibraryRivals():
  { readonly path: string; readonly why: '' } | { readonly path: null; readonly why: string } {
  const path = here('../build/library-rivals');
  const [compiler, ...compilerFlags] = (process.env.CXX || 'g++').split(/\s+/);
  const compile = (...more: string[]): ReturnType<typeof spawnSync> =>
    spawnSync(
      compiler!,
      [
        ...compilerFlags,
        '-std=c++20',
        '-O3',
        '-march=native',
        '-fopenmp',
        here('library-rivals.cpp'),
        '-o',
        path,
        ...more,
        '-ldl',
      ],
      { encoding: 'utf8' },
    );
  mkdirSync(here('../build'), { recursive: true });
  if (compile('-DWITH_ONEDNN', '-ldnnl').status === 0) return { path, why: '' };
  const { status, stderr, error } = compile();
  return status === 0
    ? { path, why: '' }
    : {
        path: null,
        why: `library-rivals.cpp does not compile here (${error?.message ?? String(stderr).split('\n')[0]})`,
      };
}
