import type { FloatDType } from '../arrays/dtype.ts';
import { QdyloraError } from '../errors/errors.ts';
import type { Backend } from './backend.ts';

/** Of a backend that does not name its types. */
const DEFAULT_FLOAT_DTYPES: readonly FloatDType[] = ['f32', 'bf16'];

/** The float types that the kernels of a backend take, as arrays and as operands of products. */
export const floatDtypesOf = ({ floatDtypes = DEFAULT_FLOAT_DTYPES }: Pick<Backend, 'floatDtypes'>) =>
  floatDtypes;

/**
 * Refuses a float type that the kernels of a backend do not take.
 *
 * @param subject what has the type: `computeDtype`, `the array x`
 * @throws QdyloraError UNSUPPORTED
 */
export function assertFloatDtype(
  backend: Pick<Backend, 'name' | 'floatDtypes'>,
  where: string,
  subject: string,
  dtype: FloatDType,
): void {
  const supported = floatDtypesOf(backend);
  if (supported.includes(dtype)) return;
  const all = supported.join(' and ');
  throw new QdyloraError('UNSUPPORTED', {
    where,
    problem: `${subject} is ${dtype}, but the backend ${backend.name} computes in ${all} only`,
    nextStep: `Use ${supported.join(' or ')}, or another backend.`,
    details: { dtype, supported },
  });
}
