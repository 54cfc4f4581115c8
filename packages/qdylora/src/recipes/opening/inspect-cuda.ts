import { opsOf, QdyloraError } from '@qdylora/contract';
import * as loraDynamic from '@qdylora/lora-dynamic';
import * as quant from '@qdylora/quant';
import * as tensor from '@qdylora/tensor';
import type { RunConfig } from '../../config/resolve-run.ts';

/** The CUDA package, which is loaded only where it is wanted. */
export type CudaKernels = typeof import('@qdylora/cuda-kernels');

/** A GPU that the driver shows. */
interface InspectedDevice {
  readonly index: number;
  readonly name: string;
  /** `8.6`. */
  readonly capability: string;
  readonly memoryBytes: number;
  /** The compiled kernels that it runs: `sm_86`; null where there are none for it. */
  readonly kernels: string | null;
  /** `0000:17:00`. */
  readonly pciAddress: string;
}

/** What this machine has for the cuda backend. */
export interface CudaInspection {
  /** Null where the package is not installed. */
  readonly cuda: CudaKernels | null;
  /** The newest CUDA that the driver knows; null where no driver works. */
  readonly driver: string | null;
  /** True where there is a driver, whether it works or not. */
  readonly hasDriver: boolean;
  readonly devices: readonly InspectedDevice[];
  /** Ops without a CUDA kernel. */
  readonly missingOps: readonly string[];
  /** What computes matrix products, our own kernels or cuBLASLt, and why; null without a GPU. */
  readonly products: string | null;
  /** Why the backend cannot be used, with what to do; null where it can. */
  readonly obstacle: QdyloraError | null;
}

/** Finds out whether the cuda backend can be used here. It throws nothing that the machine can cause. */
export async function inspectCuda(): Promise<CudaInspection> {
  const cuda = await importCudaKernels();
  if (!cuda)
    return {
      cuda,
      driver: null,
      hasDriver: false,
      devices: [],
      missingOps: [],
      products: null,
      obstacle: unsupported('the package @qdylora/cuda-kernels is not installed'),
    };
  const found = cuda.listCudaDevices();
  const missingOps = opsWithout(cuda.cudaOpNames());
  if (!found.available) {
    const { hasDriver, reason } = found;
    const obstacle = unsupported(reason.replace(/^\[cuda\] /, ''), '');
    return { cuda, driver: null, hasDriver, devices: [], missingOps, products: null, obstacle };
  }
  const cubins = await cuda.openCubins();
  const devices = found.devices.map(({ capability, ...device }) => ({
    ...device,
    capability: `${capability.major}.${capability.minor}`,
    kernels: kernelsFor(cubins, capability),
  }));
  return {
    cuda,
    driver: found.driver,
    hasDriver: true,
    devices,
    missingOps,
    products: productsText(await cuda.inspectCublas()),
    obstacle: obstacleOf(devices[0], missingOps),
  };
}

/** PCI addresses of the GPUs where a run with this `backend` trains on one of them; else null. */
export async function gpusFor(backend: RunConfig['backend']): Promise<string[] | null> {
  if (backend !== 'cuda' && backend !== 'auto') return null;
  const { obstacle, devices } = await inspectCuda();
  return obstacle ? null : devices.map(({ pciAddress }) => pciAddress);
}

/** `own kernels: no cuBLASLt (…)`. */
function productsText(cublas: Awaited<ReturnType<CudaKernels['inspectCublas']>>): string {
  if (!cublas.isFound) return `own kernels: no cuBLASLt (${cublas.reason})`;
  const { library, version, measuredProducts } = cublas;
  return measuredProducts > 0
    ? `own kernels or ${library} ${version}, by a table of ${measuredProducts} measured products`
    : `own kernels: ${library} ${version} is there, but not measured on this GPU`;
}

/** Why the backend cannot be used, in short; '' where it can. */
export const obstacleText = ({ obstacle, missingOps }: Omit<CudaInspection, 'cuda'>): string =>
  obstacle?.code === 'MISSING_KERNEL'
    ? `${missingOps.length} ops have no CUDA kernel yet.`
    : (obstacle?.message.replace(/^\[cuda\] /, '') ?? '');

function obstacleOf(device: InspectedDevice | undefined, missingOps: readonly string[]): QdyloraError | null {
  if (device?.kernels == null)
    return unsupported(
      device
        ? `there are no kernels for ${device.name}, of compute capability ${device.capability}`
        : 'the NVIDIA driver shows no GPU to this process',
    );
  if (missingOps.length === 0) return null;
  return new QdyloraError('MISSING_KERNEL', {
    where: 'cuda',
    problem: `${missingOps.length} ops have no CUDA kernel yet: ${missingOps.join(', ')}`,
    nextStep: 'Use the cpu backend.',
    details: { missingOps },
  });
}

/** Names of all ops that a run may meet, without those that have a kernel. */
const opsWithout = (withKernel: ReadonlySet<string>): readonly string[] =>
  opsOf(tensor, quant, loraDynamic)
    .map(({ name }) => name)
    .filter((name) => !withKernel.has(name))
    .sort();

function kernelsFor(
  cubins: Awaited<ReturnType<CudaKernels['openCubins']>>,
  capability: Parameters<typeof cubins.pick>[0],
): string | null {
  try {
    return cubins.pick(capability);
  } catch (error) {
    if (QdyloraError.isInstance(error) && error.code === 'UNSUPPORTED') return null;
    throw error;
  }
}

const unsupported = (problem: string, nextStep = 'Use the cpu backend.'): QdyloraError =>
  new QdyloraError('UNSUPPORTED', { where: 'cuda', problem, nextStep });

/** Null where it is not installed: it is an optional package. */
export async function importCudaKernels(
  load = (): Promise<CudaKernels> => import('@qdylora/cuda-kernels'),
): Promise<CudaKernels | null> {
  try {
    return await load();
  } catch (error) {
    if (isNotInstalled(error as NodeJS.ErrnoException)) return null;
    throw error;
  }
}

/** Yarn's Plug'n'Play has the code of `require`, also for a file that the package lacks. */
const isNotInstalled = ({ code, message }: NodeJS.ErrnoException): boolean =>
  code === 'ERR_MODULE_NOT_FOUND' ||
  (code === 'MODULE_NOT_FOUND' && message.includes('tried to access @qdylora/cuda-kernels'));
