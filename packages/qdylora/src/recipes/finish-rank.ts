import { valuesOfOptions } from '../config/explicit-values.ts';
import type { NestedOnlyKey } from '../config/finish-keys.ts';
import { prepareFinish } from './finish/finish-values.ts';
import { runPipeline, type FinetuneOptions, type FinetuneRun } from './finetune.ts';
import { checkHooks } from './run/check-hooks.ts';
import { openSession } from './run/run-session.ts';
import { startRun } from './run/start-run.ts';

/** The earlier run and the chosen rank, and keys that override those of the earlier run. */
export type FinishOptions = Partial<Omit<FinetuneOptions, NestedOnlyKey | 'outputDir'>> & {
  /** Output folder of the earlier run. */
  readonly run: string;
  /** One of its ranks. */
  readonly rank: number;
  /** Steps as a share of those of the earlier run, in (0, 1]; 0.1 by default, 0.2 at rank 1. */
  readonly share?: number;
  readonly outputDir: string;
};

/**
 * Trains one rank of a finished run alone for ceil(share · steps) further steps. In a nested run the rows of
 * a rank serve all larger ranks too. A finish trains them for this rank alone.
 *
 * The new run starts from the first `rank` rows of A and B. They keep their scale and their factors on the
 * learning rate (`rateRanks`). They also keep the moments of the optimizer (`optimizerState`), where the last
 * checkpoint of the earlier run is still there. Data, optimizer and settings are those of the earlier run,
 * with the rows in another order (`dataSeed`) and a schedule that warms up again, to a fifth of its
 * learning rate, or to more where its scale is not `tapered`. Where rows are held out, it is evaluated before
 * its first step too.
 *
 * @throws QdyloraError BAD_ARGUMENT at once for a wrong hook; every other error rejects `result` and ends the
 * iteration
 * @example
 * const { result } = finishRank({ run: 'runs/smol', rank: 8, outputDir: 'runs/smol-r8' });
 * const { report } = await result;
 */
export function finishRank({
  run,
  signal,
  fs,
  workers,
  device,
  onStep,
  onEvaluate,
  onSave,
  ...options
}: FinishOptions): FinetuneRun {
  const callbacks = { onStep, onEvaluate, onSave };
  checkHooks('finishRank', { signal, fs, device, ...callbacks });
  return startRun(async (emit) => {
    const config = await prepareFinish(run, valuesOfOptions(options));
    const backend = options.backend ?? config.backend;
    return runPipeline(config, openSession({ backend, device, signal, fs, callbacks, workers, emit }));
  });
}
