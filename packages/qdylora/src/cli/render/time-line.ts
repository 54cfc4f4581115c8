import type { MemoryPlan } from '../../recipes/plan-memory.ts';
import { countOf, countText } from '../../report/number-text.ts';
import { shortDurationText } from './short-duration-text.ts';

/** `Time: about 42 s for each step of 4 × 512 tokens`, and the time of `max_steps` where it is set. */
export function timeLine({ time, config }: Pick<MemoryPlan, 'time' | 'config'>): string {
  const { stepSeconds, runSeconds, tokensPerSecond, operationsPerSecond } = time;
  const rows = config.microBatchSize * config.gradientAccumulationSteps;
  const run =
    runSeconds === null ? '' : `, ${shortDurationText(runSeconds)} for ${countOf(config.maxSteps!, 'step')}`;
  // two digits, and no exponent; never 0
  const rate =
    tokensPerSecond < 10 ? String(Number(tokensPerSecond.toPrecision(2))) : countText(tokensPerSecond);
  const gflops = Number((operationsPerSecond / 1e9).toPrecision(2));
  return (
    `Time: about ${shortDurationText(stepSeconds)} for each step of ${rows} × ${config.maxSeqLength} tokens` +
    `${run} (${rate} tokens/s, estimated from one matrix multiplication at ` +
    `${gflops} GFLOP/s; without attention, evaluation and saving).`
  );
}
