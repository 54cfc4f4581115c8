import type { MeasuredLoss, RankReport } from '@qdylora/eval';

/** Held-out losses of a run: at every rank, or of the whole model in full training. */
export interface Judgement {
  readonly ranks: RankReport | null;
  readonly whole: MeasuredLoss | null;
}
