import { CONTRACT_VERSION, createHostMemory, kernelTable, QdyloraError, type Backend, type Kernel, type Memory } from '@qdylora/contract';
import type { CpuDoor, NativeFunction } from './addon-functions.ts';
import { bestLevel, forcedLevel } from './cpu-levels.ts';
import { cpuKernels } from './kernel-table.ts';
import { loadAddon } from './load-addon.ts';
import { reserveRegions } from './reserve-regions.ts';
import { usableThreads } from './usable-threads.ts';

export interface CpuBackendOptions {
  /** Threads of the kernels; default: `usableThreads()`. Results do not depend on it. */
  readonly threads?: number;
  /** Instruction set: `generic`, `avx2`, `avx512`, `avx512_bf16`; default: what the environment variable QDYLORA_CPU_LEVEL names, else the best that this machine has. */
  readonly level?: string;
  /** One kernel per op, whatever the number of rows: a token's result then has the same bits alone and among others. Costs speed in generation. Default: false. */
  readonly batchInvariant?: boolean;
  /** Smallest region that is taken from the system, in bytes. */
  readonly regionBytes?: number;
  /** Fills fresh float arrays with NaN, so that a test sees a read of memory that was never written. */
  readonly poison?: boolean;
  readonly onFallback?: (opName: string) => void;
  /** The addon's file, instead of looking for it. */
  readonly addonPath?: string;
}

export interface CpuBackend extends Backend, Disposable {
  readonly level: string;
  readonly threads: number;
  /** A C++ function by name, for measurements. */
  native(name: string): NativeFunction;
  /** Ends the threads and gives the memory back. */
  dispose(): void;
}

const REGION_BYTES = 32 * 2 ** 20;

/**
 * Host memory (on huge pages where the system has them) and the C++ kernels.
 *
 * @throws QdyloraError UNSUPPORTED where the addon is missing (with the reason); BAD_ARGUMENT where the level cannot run here (with those that can).
 * @example
 * const backend = await createCpuBackend({ threads: 2 });
 */
export async function createCpuBackend(options: CpuBackendOptions = {}): Promise<CpuBackend> {
  const { threads = usableThreads(), batchInvariant = false, regionBytes = REGION_BYTES, poison, onFallback, addonPath } = options;
  const loaded = loadAddon(addonPath);
  if (!loaded.addon) throw new QdyloraError('UNSUPPORTED', { where: 'cpu', problem: `expected the native addon, got none: ${loaded.reason}`, nextStep: loaded.nextStep });
  const levels = loaded.addon.levels(), level = options.level ?? forcedLevel() ?? bestLevel(levels), usable = levels.filter(({ missing }) => !missing).map(({ name }) => name);
  if (!usable.includes(level)) {
    const missing = levels.find(({ name }) => name === level)?.missing;
    throw new QdyloraError('BAD_ARGUMENT', {
      where: options.level === undefined ? 'QDYLORA_CPU_LEVEL' : 'cpu', problem: `expected one of ${usable.join(', ')} for the CPU level, got ${level}${missing ? `, which needs ${missing}` : ''}`,
      nextStep: 'Leave it out to get the best one.', details: { level, usable },
    });
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) throw new QdyloraError('BAD_ARGUMENT', { where: 'cpu', problem: `expected a whole number in 1…1024 for threads, got ${threads}` });
  const memory = createHostMemory({ name: 'cpu', ...reserveRegions(loaded.addon), regionBytes, poison });
  const native = loaded.addon.open(level, threads, batchInvariant), kernels = kernelTable(cpuKernels(doorOf(native.functions, memory)));
  let disposed = false;
  const dispose = (): void => {
    if (disposed) return;
    disposed = true;
    native.close();
    memory.dispose();
  };
  return {
    name: 'cpu', contractVersion: CONTRACT_VERSION, memory, level, threads: native.threads, packedLayout: 'tiles', onFallback, dispose, [Symbol.dispose]: dispose,
    kernel: (opName: string): Kernel | undefined => kernels.get(opName)?.run,
    native: doorOf(native.functions, memory).native,
  };
}

const doorOf = (functions: Readonly<Record<string, NativeFunction>>, memory: Memory): CpuDoor => ({
  native(name) {
    const call = functions[name];
    if (!call) throw new QdyloraError('NATIVE', { where: 'cpu', problem: `expected the function ${name} in the addon, got none`, nextStep: 'Rebuild it with `node scripts/build-addon.mjs --force`.' });
    return (...parameters) => {
      try { return call(...parameters); }
      catch (cause) { throw new QdyloraError('NATIVE', { where: name, problem: (cause as Error).message, cause }); }
    };
  },
  withScratch(floats, body) {
    const scratch = memory.allocate('f32', [floats]);
    try { body(scratch.data); } finally { memory.release(scratch); }
  },
});
