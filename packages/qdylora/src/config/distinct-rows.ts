import type { RunConfig } from './resolve-run.ts';

type RowKeys = 'microBatchSize' | 'gradientAccumulationSteps';

/**
 * The different rows of a step. Where the drawn rank distils, each micro batch runs twice, so a step of the
 * same tokens has half as many micro batches; where their number is odd, micro batches of half as many rows.
 */
export function distinctRows({
  distillation,
  distillationStudent,
  microBatchSize,
  gradientAccumulationSteps,
}: Pick<RunConfig, RowKeys | 'distillation' | 'distillationStudent'>): Pick<RunConfig, RowKeys> {
  if (!distillation || distillationStudent !== 'drawn') return { microBatchSize, gradientAccumulationSteps };
  return gradientAccumulationSteps % 2 === 0
    ? { microBatchSize, gradientAccumulationSteps: gradientAccumulationSteps / 2 }
    : { microBatchSize: microBatchSize / 2, gradientAccumulationSteps };
}
