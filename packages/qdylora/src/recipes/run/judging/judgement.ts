import type { LevelReport, MeasuredLoss, RankLosses, RankReport } from '@qdylora/eval';

/** Held-out loss of a whole model, and what it was measured on. */
export interface WholeLoss extends MeasuredLoss {
  readonly examples: number;
  readonly tokens: number;
}

/** Held-out losses of a run: at every rank, or of the whole model in full training. */
export interface Judgement {
  readonly ranks: RankReport | null;
  /** The losses of every held-out row at each of these ranks; none in full training. */
  readonly rankLosses: readonly RankLosses[];
  readonly whole: WholeLoss | null;
  /** The ranks at every quantization level of the run, where it has several; measured after the last step. */
  readonly levels?: readonly LevelReport[];
}
