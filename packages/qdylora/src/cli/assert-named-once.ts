import { QdyloraError } from '@qdylora/contract';

/** @throws QdyloraError BAD_CONFIG where both `--data` and `--dataset`, which it is short for, are given */
export function assertNamedOnce({ data, dataset }: Readonly<Record<string, string | undefined>>): void {
  if (data === undefined || dataset === undefined) return;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'data',
    problem: '--data is short for --dataset, and both are given.',
    nextStep: 'Leave one of them out.',
  });
}
