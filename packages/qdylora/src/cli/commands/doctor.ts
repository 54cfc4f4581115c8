import { execFileSync } from 'node:child_process';
import { cpus, freemem, totalmem } from 'node:os';
import { shimCommand } from '@qdylora/collectives';
import { snakeCased } from '@qdylora/contract';
import { cpuLevels, usableThreads, type CpuLevels } from '@qdylora/cpu-kernels';
import type { Command } from 'commander';
import { MPI_LAUNCHERS } from '../../launch/launcher-command.ts';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { chooseBackend } from '../../recipes/opening/choose-backend.ts';
import { inspectCuda, obstacleText, type CudaInspection } from '../../recipes/opening/inspect-cuda.ts';
import { VERSION } from '../../version.ts';
import { printResult, type CommonFlags, type Context } from '../context.ts';
import { columns } from '../render/table.ts';

/** The hardware and software of this machine that matter here, and the backend in use. */
interface Diagnosis {
  readonly version: string;
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly freeBytes: number;
  /** Null where none was found. */
  readonly compiler: string | null;
  readonly kernels: CpuLevels;
  readonly cuda: Omit<CudaInspection, 'cuda' | 'obstacle'> & {
    /** Why the cuda backend is not used; '' where it is. */
    readonly notUsed: string;
  };
  readonly mpi: {
    /** First line of the launcher's `--version`; null if no MPI launcher is installed. */
    readonly launcher: string | null;
    /** Command that compiles the shim for an MPI library of unknown ABI; null without `mpicc`. */
    readonly shimCommand: string | null;
  };
  readonly backend: string;
  readonly computeDtype: string;
  readonly notice: string | null;
}

export function addDoctorCommand(program: Command, context: Context): void {
  const command = program
    .command('doctor')
    .summary('show which kernels run on this machine')
    .description('Shows which kernels run on this machine, why others do not, and what to do about it.')
    .option('--json', 'Print one JSON document');
  command.action(async (flags: CommonFlags) => {
    const diagnosis = await diagnose();
    printResult(context, flags, snakeCased(diagnosis), () => [
      ...columns(linesOf(diagnosis), ['left', 'left']),
      ...(diagnosis.notice ? ['', context.terminal.paint('yellow', diagnosis.notice)] : []),
    ]);
  });
}

async function diagnose(): Promise<Diagnosis> {
  const inspection = await inspectCuda();
  const { driver, hasDriver, devices, missingOps, products } = inspection;
  const notUsed = obstacleText(inspection);
  using chosen = await chooseBackend('auto');
  return {
    version: VERSION,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    threads: usableThreads(),
    memoryBytes: totalmem(),
    freeBytes: freemem(),
    compiler: firstThatAnswers(COMPILERS),
    kernels: cpuLevels(),
    cuda: { driver, hasDriver, devices, missingOps, products, notUsed },
    mpi: {
      launcher: firstThatAnswers(MPI_LAUNCHERS),
      shimCommand: firstThatAnswers(['mpicc']) === null ? null : shimCommand(),
    },
    backend: chosen.label,
    computeDtype: chosen.fastestDtype,
    notice: chosen.reason,
  };
}

/** C++ compilers, in the order in which they are tried. */
const COMPILERS = ['c++', 'g++', 'clang++'];

/** The first line that the first installed one of these programs prints for `--version`. */
function firstThatAnswers(names: readonly string[]): string | null {
  for (const name of names) {
    try {
      return execFileSync(name, ['--version'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }).split('\n')[0];
    } catch {
      /* not this one */
    }
  }
  return null;
}

function linesOf(d: Diagnosis): [string, string][] {
  return [
    ['qdylora', d.version],
    ['node', d.node],
    ['platform', d.platform],
    ['processor', `${d.cpu}, ${d.threads} threads`],
    ['memory', `${byteSizeText(d.memoryBytes)}, ${byteSizeText(d.freeBytes)} free`],
    ['compiler', d.compiler ?? `none found (${COMPILERS.join(', ')})`],
    ...kernelLines(d.kernels),
    ...cudaLines(d.cuda),
    ...mpiLines(d.mpi),
    ['backend', d.backend],
    ['compute dtype', `${d.computeDtype} for compute_dtype: auto`],
  ];
}

function kernelLines(kernels: CpuLevels): [string, string][] {
  if (!kernels.available) return [['addon', `none: ${kernels.reason}`]];
  const { path, levels, notBuilt, forced, best } = kernels;
  const used = forced ?? best;
  const why = forced ? ' (QDYLORA_CPU_LEVEL says so)' : '';
  return [
    ['addon', path],
    ...levels.map(({ name, missing }): [string, string] => [
      `  ${name}`,
      missing ? `no: needs ${missing}` : name === used ? `yes, used${why}` : 'yes',
    ]),
    ...notBuilt.map((name): [string, string] => [`  ${name}`, 'not built']),
  ];
}

function cudaLines({ driver, devices, products, notUsed }: Diagnosis['cuda']): [string, string][] {
  return [
    ...(driver ? [['CUDA driver', `CUDA ${driver}`] satisfies [string, string]] : []),
    ...devices.map(({ index, name, memoryBytes, capability, kernels }): [string, string] => [
      `  GPU ${index}`,
      `${name}, ${byteSizeText(memoryBytes)}, capability ${capability}, ` +
        (kernels ? `kernels ${kernels}` : 'no kernels'),
    ]),
    ...(products ? [['matrix multiplication', products] satisfies [string, string]] : []),
    ['cuda', notUsed ? `not used: ${notUsed}` : 'used: GPU 0'],
  ];
}

const mpiLines = ({ launcher, shimCommand: command }: Diagnosis['mpi']): [string, string][] => [
  ['MPI launcher', launcher ?? 'none: apt-get install openmpi-bin, or mpich'],
  ...(command ? [['  to compile a shim for another MPI', command] satisfies [string, string]] : []),
];
