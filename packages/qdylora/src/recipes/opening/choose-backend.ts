import {
  assertContractVersion,
  assertFloatDtype,
  createDryBackend,
  createHostBackend,
  QdyloraError,
  type Backend,
  type DryBackend,
} from '@qdylora/contract';
import {
  CEILING_BYTES,
  ceilingOf,
  createCpuBackend,
  createDryCpuBackend,
  usableThreads,
  type CpuBackend,
} from '@qdylora/cpu-kernels';
import type { ComputeDtype } from '@qdylora/tensor';
import type { Ceilings } from '../run/steps/op-profile.ts';
import { inspectCuda, obstacleText, type CudaKernels } from './inspect-cuda.ts';
import type { Warn } from '../hooks.ts';

/** A backend by name, or one of the caller's own. */
export type BackendChoice = 'auto' | 'cpu' | 'cuda' | 'host' | Backend;

/** A backend with what a person wants to know about it. */
export interface ChosenBackend extends Disposable {
  readonly backend: Backend;
  /** `cpu avx512, 2 threads`. */
  readonly label: string;
  /** The fastest type of matrix products without a loss that matters. */
  readonly fastestDtype: ComputeDtype;
  /**
   * Resolves `compute_dtype`: `auto` is the fastest type.
   *
   * @throws QdyloraError UNSUPPORTED for a type that the backend does not compute in
   */
  computeDtype(choice: 'auto' | ComputeDtype): ComputeDtype;
  /** Why a slower backend than expected runs, and what to do about it; else null. */
  readonly reason: string | null;
  /** Measures the peak rates of this machine, in about a second; null without native code. */
  ceilings(): Ceilings | null;
  /** The largest array that `ceilings` allocates and writes; 0 where it measures nothing. */
  readonly ceilingBytes: number;
  /**
   * Creates a dry backend with the memory needs of this one; null for a backend of the caller, whose needs
   * are unknown.
   */
  readonly dry: (() => DryBackend & Disposable) | null;
  /**
   * Memory of the GPU that was free when it was opened; null where arrays are in the memory of the process.
   */
  readonly deviceBytes: number | null;
  /** Ends threads and frees memory. A backend of the caller stays open. */
  dispose(): void;
}

export interface ChooseBackendOptions {
  readonly numThreads?: number | null;
  readonly batchInvariant?: boolean;
  /** The number of the GPU. Default: 0. */
  readonly device?: number;
  /**
   * Called where something slower than expected runs: the TypeScript backend, or (once each) an op without a
   * kernel.
   */
  readonly warn?: Warn;
}

/**
 * Opens a backend. `auto` takes the GPU where it has kernels for all ops; otherwise the C++ kernels where
 * they load; otherwise TypeScript. It says so where it takes the next one.
 *
 * @throws QdyloraError UNSUPPORTED where a backend is named explicitly and does not load, or has another
 * contract version; MISSING_KERNEL with their list where `cuda` lacks ops
 */
export async function chooseBackend(
  choice: BackendChoice,
  options: ChooseBackendOptions = {},
): Promise<ChosenBackend> {
  if (typeof choice !== 'string')
    return backendWith(choice, { label: choice.name, fastestDtype: 'f32', dry: null });
  if (choice === 'host') return hostBackend();
  if (choice === 'cpu') return cpuBackend(options);
  const { cuda, ...inspection } = await inspectCuda();
  const { obstacle, hasDriver } = inspection;
  if (cuda && !obstacle) return cudaBackend(cuda, choice === 'auto', options);
  if (choice === 'cuda') throw obstacle!;
  if (hasDriver) options.warn?.(`The GPU is not used: ${obstacleText(inspection)}`);
  try {
    return await cpuBackend(options, hasDriver ? '' : ' (no GPU)');
  } catch (error) {
    if (!QdyloraError.isInstance(error) || error.code === 'BAD_ARGUMENT') throw error;
    options.warn?.(
      'The C++ kernels do not run here, so TypeScript does the same work, many times slower: npx qdylora ' +
        'doctor says why.',
    );
    return hostBackend(error.message);
  }
}

const hostBackend = (reason: string | null = null): ChosenBackend =>
  backendWith(createHostBackend(), {
    label: 'host (TypeScript), 1 thread',
    fastestDtype: 'f32',
    reason,
    isOwn: true,
    dry: dryHostBackend,
  });

/**
 * Bfloat16 instructions, and tensor cores for it, begin with this compute capability: sm_80. Older GPUs have
 * them for float16, which trains with loss scaling.
 */
const BFLOAT16_CAPABILITY = 8;

/** @param isAuto whether nobody asked for the GPU */
async function cudaBackend(
  cuda: CudaKernels,
  isAuto: boolean,
  { device, warn = () => {} }: ChooseBackendOptions,
): Promise<ChosenBackend> {
  const backend = await cuda.createCudaBackend({ device });
  const { name, capability } = backend.device;
  const hasBfloat16 = capability.major >= BFLOAT16_CAPABILITY;
  if (isAuto)
    warn(
      `The GPU is used: ${name}. The CUDA kernels have run in an emulator only: compare a short run with ` +
        `--backend cpu.`,
    );
  const opened = backendWith(backend, {
    label: `cuda ${backend.level}, ${name}`,
    fastestDtype: hasBfloat16 ? 'bf16' : 'f16',
    isOwn: true,
    end: backend.dispose,
    dry: () => cuda.createDryCudaBackend(backend),
    deviceBytes: backend.memory.freeBytes!(),
  });
  return {
    ...opened,
    computeDtype(choice) {
      if (choice === 'bf16' && !hasBfloat16)
        warn(
          `compute_dtype bf16: ${name} has no bfloat16 instructions (compute capability ` +
            `${capability.major}.${capability.minor}). Operands are rounded to bfloat16 and multiplied in ` +
            `float32, so f32 is as fast; auto is f16 here.`,
        );
      return opened.computeDtype(choice);
    },
  };
}

/** @param remark what the label says besides */
async function cpuBackend(
  { numThreads, batchInvariant, warn = () => {} }: ChooseBackendOptions,
  remark = '',
): Promise<ChosenBackend> {
  const backend = await createCpuBackend({
    numThreads: numThreads ?? usableThreads(),
    batchInvariant,
    onFallback: onceEach((op) =>
      warn(`There is no C++ kernel for ${op} yet: TypeScript computes it, slowly.`),
    ),
  });
  const usable = usableThreads();
  if (backend.numThreads > usable)
    warn(
      `num_threads ${backend.numThreads} is more than the ${usable} processor${usable === 1 ? '' : 's'} ` +
        `that this process may use: threads will wait for each other, and each takes memory.`,
    );
  const label =
    `cpu ${backend.level}, ${backend.numThreads} thread${backend.numThreads === 1 ? '' : 's'}` + remark;
  return backendWith(backend, {
    label,
    fastestDtype: /bf16|amx/.test(backend.level) ? 'bf16' : 'f32',
    isOwn: true,
    ceilings: () => measuredCeilings(backend),
    ceilingBytes: CEILING_BYTES,
    end: backend.dispose,
    dry: () => createDryCpuBackend({ level: backend.level, numThreads: backend.numThreads, batchInvariant }),
  });
}

/** The best of several short measurements: the cores may be shared. */
function measuredCeilings(backend: CpuBackend): Ceilings {
  const best = (quantity: 'f32' | 'bf16' | 'gbps'): number =>
    backend.memory.scoped(() => Math.max(...Array.from({ length: 8 }, ceilingOf(backend, quantity))));
  return { gflops: best('f32'), bf16Gflops: best('bf16'), gbps: best('gbps') };
}

/** The references need no workspaces of a size that matters. */
const dryHostBackend = (): DryBackend & Disposable => ({
  ...createDryBackend(),
  [Symbol.dispose]: () => {},
});

interface ChosenParts {
  readonly label: string;
  readonly fastestDtype: ComputeDtype;
  readonly reason?: string | null;
  readonly isOwn?: boolean;
  readonly ceilings?: () => Ceilings | null;
  readonly ceilingBytes?: number;
  readonly end?: () => void;
  readonly dry: ChosenBackend['dry'];
  readonly deviceBytes?: ChosenBackend['deviceBytes'];
}

function backendWith(
  backend: Backend,
  {
    isOwn = false,
    reason = null,
    deviceBytes = null,
    ceilings = (): Ceilings | null => null,
    ceilingBytes = 0,
    end = () => backend.memory.dispose(),
    ...about
  }: ChosenParts,
): ChosenBackend {
  assertContractVersion('backend', backend);
  const dispose = (): void => {
    if (isOwn) end();
  };
  return {
    backend,
    ...about,
    reason,
    deviceBytes,
    ceilings,
    ceilingBytes,
    computeDtype(choice) {
      if (choice === 'auto') return about.fastestDtype;
      assertFloatDtype(backend, 'compute_dtype', 'compute_dtype', choice);
      return choice;
    },
    dispose,
    [Symbol.dispose]: dispose,
  };
}

function onceEach(tell: (name: string) => void): (name: string) => void {
  const toldNames = new Set<string>();
  return (name) => {
    if (toldNames.has(name)) return;
    toldNames.add(name);
    tell(name);
  };
}
