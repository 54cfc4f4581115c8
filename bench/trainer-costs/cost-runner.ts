import { collate, type TokenBatch } from '@qdylora/data';
import { attachDyLora, type RankSampler } from '@qdylora/lora-dynamic';
import type { CausalLm } from '@qdylora/models';
import { createOptimizer, passesOfStep, runStep, type Optimizer } from '@qdylora/trainer';
import { COST_OPTIONS } from './cost-options.ts';

export const RANKS = [1, 2, 4, 8, 16, 32, 64];

/** A step's batch of made-up tokens, which change from step to step. */
export function batchOf(model: CausalLm, step: number, rows: number = COST_OPTIONS.rows): TokenBatch {
  const example = (row: number): Int32Array =>
    Int32Array.from(
      { length: COST_OPTIONS.length },
      (_, t) => ((step + 2) * 7919 + row * 104729 + t * 31) % model.config.vocabularySize,
    );
  return collate(Array.from({ length: rows }, (_, row) => ({ ids: example(row), labels: example(row) })));
}

/** A model's adapter and optimizer of their own, over the same base, and a step of them. */
export function costRunner(
  model: CausalLm,
  optimizerOf: (parameters: ReturnType<ReturnType<typeof attachDyLora>['parameters']>) => Optimizer,
) {
  const adapted = attachDyLora(model, { ranks: RANKS, seed: 7 });
  const optimizer = optimizerOf(adapted.parameters());
  const step = async (
    at: number,
    batches: readonly TokenBatch[],
    sampler: RankSampler | null,
  ): Promise<number> => {
    const { passes, rows } = passesOfStep(at, batches, { model: adapted, sampler });
    return (
      await runStep(passes, optimizer, {
        rows,
        learningRate: 1e-4,
        computeDtype: COST_OPTIONS.computeDtype,
        recompute: true,
      })
    ).loss;
  };
  return { adapted, optimizer, step };
}

export const adamw = (parameters: Parameters<typeof createOptimizer>[1]): Optimizer =>
  createOptimizer('adamw_32bit', parameters, { learningRate: 1e-4 });
