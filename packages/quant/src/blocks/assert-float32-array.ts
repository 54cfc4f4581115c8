import { isElementArray, QdyloraError } from '@qdylora/contract';

/** @throws QdyloraError BAD_ARGUMENT unless `data` is a Float32Array; `what` names it in the message */
export function assertFloat32Array(where: string, what: string, data: unknown): void {
  if (isElementArray('f32', data)) return;
  const kind = (data as object | undefined)?.constructor?.name ?? typeof data;
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `the ${what} must be a Float32Array (got ${kind})`,
    nextStep: 'Convert them: Float32Array.from(numbers), or float32FromBfloat16(bits).',
  });
}
