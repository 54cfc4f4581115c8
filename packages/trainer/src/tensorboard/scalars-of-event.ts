import type { TrainEvent } from '../run/train-events.ts';

/** The numbers of an event by their tags in TensorBoard; empty for an event without curves. */
export function scalarsOfEvent(event: TrainEvent): Readonly<Record<string, number>> {
  switch (event.type) {
    case 'step': {
      const {
        loss,
        rank,
        learningRate,
        lossScale,
        gradNorm,
        epoch,
        tokensPerSecond,
        stepSeconds,
        residentBytes,
        optimizerResidentBytes,
        optimizerPagedBytes,
        pageIns,
        pageWaitSeconds,
      } = event;
      const paging: Record<string, number> =
        optimizerPagedBytes > 0
          ? {
              'memory/optimizer_paged_bytes': optimizerPagedBytes,
              'memory/page_ins': pageIns,
              'time/page_wait_seconds': pageWaitSeconds,
            }
          : {};
      return {
        'train/loss': loss,
        ...(rank === null ? {} : { [`train/loss_at_drawn_rank/${rank}`]: loss, 'train/rank': rank }),
        'train/learning_rate': learningRate,
        'train/grad_norm': gradNorm,
        ...(lossScale === undefined ? {} : { 'train/loss_scale': lossScale }),
        'train/epoch': epoch,
        'time/tokens_per_second': tokensPerSecond,
        'time/step_seconds': stepSeconds,
        'memory/resident_bytes': residentBytes,
        'memory/optimizer_resident_bytes': optimizerResidentBytes,
        ...paging,
      };
    }
    case 'eval': {
      const losses = event.byRank.map(
        ({ rank, loss }) => [rank === null ? 'eval/loss' : `eval/loss_at_rank/${rank}`, loss] as const,
      );
      return {
        ...Object.fromEntries(losses),
        'eval/score': event.score,
        ...(event.bestRank === null ? {} : { 'eval/best_rank': event.bestRank }),
        ...(event.aurac === null ? {} : { 'eval/aurac': event.aurac }),
      };
    }
    case 'plan':
    case 'checkpoint':
    case 'warning':
    case 'done':
      return {};
  }
}
