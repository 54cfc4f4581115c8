import type { KEYS } from './keys.ts';
import type { OutputOf } from './values/check-values.ts';

type Config = OutputOf<typeof KEYS>;
type DistillationKeys = 'distillation' | 'distillationStudent';
type RowKeys = 'microBatchSize' | 'gradientAccumulationSteps';

/** Whether each row of a step runs at the largest rank and at the drawn one. */
export const isEachRowTwice = ({
  distillation,
  distillationStudent,
}: Pick<Config, DistillationKeys>): boolean => Boolean(distillation) && distillationStudent === 'drawn';

/**
 * The different rows of a step. Where each runs twice, a step of the same tokens has half as many micro
 * batches; where their number is odd, micro batches of half as many rows.
 */
export function distinctRows(config: Pick<Config, RowKeys | DistillationKeys>): Pick<Config, RowKeys> {
  const { microBatchSize, gradientAccumulationSteps } = config;
  if (!isEachRowTwice(config)) return { microBatchSize, gradientAccumulationSteps };
  return gradientAccumulationSteps % 2 === 0
    ? { microBatchSize, gradientAccumulationSteps: gradientAccumulationSteps / 2 }
    : { microBatchSize: microBatchSize / 2, gradientAccumulationSteps };
}
