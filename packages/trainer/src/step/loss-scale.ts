import { checkOptions, numberWithin, wholeNumber, type OptionRules } from '@qdylora/contract';

/**
 * Dynamic loss scaling (Micikevicius et al. 2018, arXiv 1710.03740), as `torch.amp.GradScaler` does it. The
 * loss is multiplied by a scale, so that small gradients stay within the range of float16, and the update
 * divides by it again. While the scale is a power of two, as by default, and nothing over- or underflows, no
 * bit changes.
 */
export interface LossScaling {
  /** Scale of the first step; 65536 by default. */
  readonly initialScale?: number;
  /** Factor on the scale after `growthSteps` steps without an overflow; 2 by default. */
  readonly growthFactor?: number;
  /** Factor on the scale after a step whose gradient is not finite; 0.5 by default. It ends at scale 1. */
  readonly backoffFactor?: number;
  /** Steps in a row without an overflow after which the scale grows; 2000 by default. */
  readonly growthSteps?: number;
}

/** The scale of the next step, and the steps in a row without an overflow since it last changed. */
export interface LossScale {
  readonly scale: number;
  readonly goodSteps: number;
}

export const DEFAULT_LOSS_SCALING: Required<LossScaling> = {
  initialScale: 65536,
  growthFactor: 2,
  backoffFactor: 0.5,
  growthSteps: 2000,
};

const OPTIONS: OptionRules<LossScaling> = {
  initialScale: numberWithin({ above: 0 }),
  growthFactor: numberWithin({ above: 1 }),
  backoffFactor: numberWithin({ above: 0, below: 1 }),
  growthSteps: wholeNumber(1),
};

/** @throws QdyloraError BAD_ARGUMENT that names the invalid option */
export const checkLossScaling = (scaling: LossScaling): void =>
  checkOptions('train, lossScaling', scaling, OPTIONS);

/** The scale of the first step. */
export const firstLossScale = ({
  initialScale = DEFAULT_LOSS_SCALING.initialScale,
}: LossScaling): LossScale => ({ scale: initialScale, goodSteps: 0 });

/**
 * The least scale that a back-off leads to. Without scaling the factor is 1: a smaller one loses small
 * gradients and cannot cure a loss that is NaN, and it would take `growthSteps` steps to double again. torch
 * has no such limit.
 */
const LEAST_SCALE = 1;

/**
 * The scale after a step. A step that is not finite never raises it, and lowers it to 1 at most.
 *
 * @param isFinite whether the gradient of the step was finite; a step whose gradient was not is skipped
 * @example
 * let scale = firstLossScale({});
 * scale = nextLossScale(scale, false, {}); // { scale: 32768, goodSteps: 0 }
 */
export function nextLossScale(
  { scale, goodSteps }: LossScale,
  isFinite: boolean,
  options: LossScaling,
): LossScale {
  const { growthFactor, backoffFactor, growthSteps } = { ...DEFAULT_LOSS_SCALING, ...options };
  if (!isFinite) {
    const reduced = Math.max(LEAST_SCALE, Math.fround(scale * backoffFactor));
    return { scale: Math.min(scale, reduced), goodSteps: 0 };
  }
  if (goodSteps + 1 < growthSteps) return { scale, goodSteps: goodSteps + 1 };
  const grown = Math.fround(scale * growthFactor);
  return { scale: Number.isFinite(grown) ? grown : scale, goodSteps: 0 };
}
