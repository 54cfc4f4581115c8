import type { LevelReport, MeasuredLoss, RankLosses, RankReport } from '@qdylora/eval';

/** Held-out losses of a run: at every rank, or of the whole model in full training. */
export interface Judgement {
  readonly ranks: RankReport | null;
  /** The losses of every held-out row at each of these ranks; none in full training. */
  readonly rankLosses: readonly RankLosses[];
  readonly whole: MeasuredLoss | null;
  /** The ranks at every quantization level of the run, where it has several; measured after the last step. */
  readonly levels?: readonly LevelReport[];
}
