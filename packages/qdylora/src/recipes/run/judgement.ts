import type { MeasuredLoss, RankReport } from '@qdylora/eval';

/** Held-out losses of a run: at every rank, or of the one model that full training has. */
export interface Judgement {
  readonly ranks: RankReport | null;
  readonly whole: MeasuredLoss | null;
}
