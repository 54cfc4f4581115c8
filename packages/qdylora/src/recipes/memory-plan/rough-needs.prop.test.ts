import { createDryBackend } from '@qdylora/contract';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SEED_OF_SHAPES as SEED } from '../../../test/seed-of-shapes.ts';
import { TINY_CONFIG } from '../../../test/tiny-model.ts';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import type { RunConfig } from '../../config/resolve-run.ts';
import { resolveShape } from '../run/prepare-run.ts';
import { dryRun, fullestSteps, fullExample, phaseBytes, type DryRun } from './dry-run.ts';
import { roughNeeds } from './rough-needs.ts';

const LAYERS = 12;

/**
 * Wide rows on few tokens and large matrices on many: in some a matrix on its way into 4 bits is the fullest
 * moment of a few layers, in others a step is.
 */
const shapes = fc.record({
  hidden: fc.constantFrom(64, 128),
  intermediate: fc.constantFrom(128, 4096),
  vocab: fc.constantFrom(128, 2048),
  dtype: fc.constantFrom('f32' as const, 'bf16' as const),
  holdsOut: fc.boolean(),
});
const options = fc.record({
  quantization: fc.constantFrom('nf4' as const, 'none' as const),
  loraR: fc.constantFrom(1, 16),
  maxSeqLength: fc.constantFrom(8, 256),
  microBatchSize: fc.constantFrom(1, 3),
  gradientCheckpointing: fc.constantFrom(true, false, 2),
  optimizer: fc.constantFrom(
    'adamw_32bit' as const,
    'adamw_8bit' as const,
    'sgd' as const,
    'paged_adamw_32bit' as const,
  ),
});

/** Of two layers, packing is the fullest moment; of twelve, training. */
const WIDE = { hidden: 64, intermediate: 4096, vocab: 128, dtype: 'f32', holdsOut: false } as const;
const FEW_TOKENS = {
  quantization: 'nf4',
  loraR: 1,
  maxSeqLength: 8,
  microBatchSize: 1,
  gradientCheckpointing: true,
  optimizer: 'adamw_32bit',
} as const;

test('two models of a few layers tell the need of all layers, whichever phase is the fullest', async () => {
  await fc.assert(
    fc.asyncProperty(
      shapes,
      options,
      async ({ hidden, intermediate, vocab, dtype, holdsOut }, runOptions) => {
        const model = {
          ...TINY_CONFIG,
          hidden_size: hidden,
          intermediate_size: intermediate,
          vocab_size: vocab,
          num_hidden_layers: LAYERS,
          num_attention_heads: 2,
          num_key_value_heads: 1,
          head_dim: hidden / 2,
          tie_word_embeddings: false,
          max_position_embeddings: 512,
        };
        const requested = resolveShape(
          valuesOfOptions({
            ...runOptions,
            model: 'some',
            valSetSize: 0,
            ...(runOptions.optimizer.startsWith('paged') && { optimizerMemoryBudget: '64KiB' }),
          }),
        );
        const config = { ...requested, computeDtype: 'f32' as const };
        const run = (changed: RunConfig, mostLayers?: number): Promise<DryRun> =>
          dryRun(
            { ...changed, computeDtype: 'f32' },
            {
              backend: createDryBackend(),
              model,
              dtype,
              steps: fullestSteps(changed),
              judged: holdsOut ? [[fullExample(512)]] : [],
              recompute:
                changed.gradientCheckpointing === 2
                  ? { every: 2 }
                  : (changed.gradientCheckpointing as boolean),
              mostLayers,
            },
          );
        const rough = await roughNeeds(LAYERS, 1000, async (changed, mostLayers) =>
          phaseBytes(await run(changed, mostLayers)),
        )(config);
        const whole = await run(config);
        expect(Math.abs(rough!.leastBytes / (1000 + whole.peakBytes) - 1)).toBeLessThan(0.01);
        expect(whole.parts.reduce((sum, { peakBytes }) => sum + peakBytes, 0)).toBe(whole.peakBytes);
        expect(whole.parts.every(({ peakBytes }) => peakBytes >= 0)).toBe(true);
      },
    ),
    { numRuns: 60, seed: SEED, examples: [[WIDE, FEW_TOKENS]] },
  );
});
