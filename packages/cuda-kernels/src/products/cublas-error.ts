import { QdyloraError, type ErrorCode } from '@qdylora/contract';
import type { DriverFailure } from '../addon/addon-functions.ts';
import { RESTART } from '../driver/restart.ts';

/** What a cublasStatus_t means to a person. */
interface Meaning {
  readonly name: string;
  readonly problem: string;
  readonly nextStep: string;
  /** The default is NATIVE. */
  readonly code?: ErrorCode;
}

const OWN_KERNELS = "Use createCudaBackend({ products: 'own' }), or report it.";

/** cublasStatus_t → what it means: all that cuBLAS 12 and 13 have. */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  1: { name: 'NOT_INITIALIZED', problem: 'the library cannot use the device', nextStep: OWN_KERNELS },
  3: {
    name: 'ALLOC_FAILED',
    problem: 'the library has no memory left for itself',
    nextStep: 'Use a smaller batch or sequence, or end other programs on this GPU.',
    code: 'OUT_OF_MEMORY',
  },
  7: { name: 'INVALID_VALUE', problem: 'an argument is not allowed', nextStep: OWN_KERNELS },
  8: {
    name: 'ARCH_MISMATCH',
    problem: 'the library has no kernels for this device',
    nextStep: OWN_KERNELS,
    code: 'UNSUPPORTED',
  },
  11: { name: 'MAPPING_ERROR', problem: 'the library cannot reach memory of the device', nextStep: RESTART },
  13: { name: 'EXECUTION_FAILED', problem: 'a kernel of the library failed', nextStep: RESTART },
  14: { name: 'INTERNAL_ERROR', problem: 'the library failed and does not say why', nextStep: RESTART },
  15: {
    name: 'NOT_SUPPORTED',
    problem: 'the library has no algorithm for this product',
    nextStep: "Run the tuner again on this device, or use createCudaBackend({ products: 'own' }).",
    code: 'UNSUPPORTED',
  },
  16: { name: 'LICENSE_ERROR', problem: 'the library may not be used here', nextStep: OWN_KERNELS },
};

/** True for a failure of a call of cuBLASLt. */
export const isCublasFailure = ({ call }: DriverFailure): boolean => call.startsWith('cublasLt');

/**
 * A failed call of cuBLASLt as an error of ours. `details`: `call`, `result` (cublasStatus_t) and
 * `errorName`.
 */
export function cublasError(failure: DriverFailure): QdyloraError {
  const { call, result } = failure;
  const {
    name,
    problem,
    nextStep,
    code = 'NATIVE',
  } = MEANINGS[result] ?? {
    name: '',
    problem: 'the library refused it',
    nextStep: OWN_KERNELS,
  };
  const errorName = name && `CUBLAS_STATUS_${name}`;
  return new QdyloraError(code, {
    where: 'cuda',
    problem: `${call} failed with ${errorName || 'cublasStatus'} (${result}): ${problem}`,
    nextStep,
    details: { call, result, errorName },
    cause: failure,
  });
}
