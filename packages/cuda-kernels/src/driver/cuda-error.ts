import { QdyloraError, type ErrorCode } from '@qdylora/contract';
import type { DriverFailure } from '../addon/addon-functions.ts';
import { cublasError, isCublasFailure } from '../products/cublas-error.ts';
import { RESTART } from './restart.ts';

/** What a CUresult means to a person. */
interface Meaning {
  readonly problem: string;
  readonly nextStep?: string;
  /** The default is NATIVE. */
  readonly code?: ErrorCode;
}

const FAULTY_KERNEL = `${RESTART} If it happens again, report it: a kernel has a fault.`;
const UPDATE = 'Update the NVIDIA driver, or use the cpu backend.';
const THIS_PACKAGE = 'Report it: this package made a wrong call.';

/** The CUresult where there is no memory. */
export const OUT_OF_MEMORY = 2;

/** CUresult → what it means, for the results that this package has met or can foresee. */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  1: { problem: 'an argument is not allowed', nextStep: THIS_PACKAGE },
  [OUT_OF_MEMORY]: {
    problem: 'the device or the system has no memory left for it',
    nextStep: 'Use a smaller batch or sequence, or end other programs on this GPU.',
    code: 'OUT_OF_MEMORY',
  },
  3: { problem: 'the driver is not initialized', nextStep: THIS_PACKAGE },
  4: { problem: 'the driver is shutting down' },
  34: {
    problem: 'libcuda.so.1 is the stub of a toolkit, not a driver',
    nextStep: 'Remove the stub from the library path.',
    code: 'UNSUPPORTED',
  },
  46: {
    problem: 'the device is in use by another program in exclusive mode',
    nextStep: 'End that program, or use another device.',
    code: 'UNSUPPORTED',
  },
  100: {
    problem: 'the NVIDIA driver shows no GPU to this process',
    nextStep: 'Look at `nvidia-smi` and at CUDA_VISIBLE_DEVICES, or use the cpu backend.',
    code: 'UNSUPPORTED',
  },
  101: { problem: 'there is no device of that number', code: 'UNSUPPORTED' },
  200: { problem: 'the compiled kernel is damaged', nextStep: 'Reinstall the package.', code: 'BAD_FILE' },
  201: { problem: 'the context is gone', nextStep: RESTART },
  209: { problem: 'the compiled kernel is not for this device', nextStep: UPDATE, code: 'UNSUPPORTED' },
  214: { problem: 'the memory of the device has an error that cannot be corrected', nextStep: RESTART },
  218: { problem: 'the driver cannot compile the PTX of the kernel', nextStep: UPDATE, code: 'UNSUPPORTED' },
  222: {
    problem: 'the driver is older than the PTX of the kernel, which this device needs',
    nextStep: UPDATE,
    code: 'UNSUPPORTED',
  },
  400: { problem: 'a handle is not valid', nextStep: THIS_PACKAGE },
  500: { problem: 'the compiled kernel lacks that function', nextStep: 'Reinstall the package.' },
  700: { problem: 'a kernel reached memory that it may not access', nextStep: FAULTY_KERNEL },
  701: { problem: 'the kernel needs more registers or shared memory than the device has' },
  702: { problem: 'a kernel ran longer than the system allows on a GPU with a display', nextStep: RESTART },
  710: { problem: 'a kernel stopped at an assertion', nextStep: FAULTY_KERNEL },
  714: { problem: 'the device met a hardware error in a kernel', nextStep: FAULTY_KERNEL },
  715: { problem: 'a kernel has an instruction that the device does not know', nextStep: FAULTY_KERNEL },
  716: { problem: 'a kernel accessed an address of the wrong alignment', nextStep: FAULTY_KERNEL },
  717: { problem: 'a kernel accessed the wrong address space', nextStep: FAULTY_KERNEL },
  718: { problem: 'a kernel ran beyond its code', nextStep: FAULTY_KERNEL },
  719: { problem: 'a kernel failed on the device, or the device was lost', nextStep: RESTART },
  800: { problem: 'the system does not permit it', nextStep: 'Look at the permissions of /dev/nvidia*.' },
  801: { problem: 'the device or the driver does not support it', nextStep: UPDATE, code: 'UNSUPPORTED' },
  802: {
    problem: 'the system of GPUs is not ready',
    nextStep: 'Look whether the fabric manager runs.',
    code: 'UNSUPPORTED',
  },
  803: {
    problem: 'the library libcuda.so.1 and the kernel module of the driver have different versions',
    nextStep: 'Restart the machine after an update of the driver.',
    code: 'UNSUPPORTED',
  },
  804: {
    problem: 'the CUDA compatibility package does not support this device',
    nextStep: UPDATE,
    code: 'UNSUPPORTED',
  },
  901: { problem: 'the recording of a graph was disturbed', nextStep: THIS_PACKAGE },
  999: { problem: 'the driver failed and does not say why', nextStep: RESTART },
};

/** True for what a call of the addon throws where the driver refuses it. */
export const isDriverFailure = (error: unknown): error is DriverFailure =>
  error instanceof Error && typeof (error as Partial<DriverFailure>).result === 'number';

/**
 * A failed call of the driver as an error of ours. `details`: `call`, `result` (CUresult) and `errorName`.
 */
export function cudaError(failure: DriverFailure): QdyloraError {
  const { call, result, errorName } = failure;
  const { problem, nextStep, code = 'NATIVE' } = MEANINGS[result] ?? { problem: 'the driver refused it' };
  return new QdyloraError(code, {
    where: 'cuda',
    problem: `${call} failed with ${errorName || 'CUresult'} (${result}): ${problem}`,
    nextStep,
    details: { call, result, errorName },
    cause: failure,
  });
}

/** The same functions; what they throw, and what their promises reject with, are errors of ours. */
export function withCudaErrors<T extends object>(calls: T): T {
  const translated = (error: unknown): unknown => {
    if (!isDriverFailure(error)) return error;
    return isCublasFailure(error) ? cublasError(error) : cudaError(error);
  };
  const wrap =
    (call: (...values: unknown[]) => unknown) =>
    (...values: unknown[]): unknown => {
      try {
        const result = call(...values);
        if (!(result instanceof Promise)) return result;
        return result.catch((error: unknown) => {
          throw translated(error);
        });
      } catch (error) {
        throw translated(error);
      }
    };
  return Object.fromEntries(
    Object.entries(calls).map(([name, call]) => [
      name,
      typeof call === 'function' ? wrap(call as (...values: unknown[]) => unknown) : call,
    ]),
  ) as T;
}
