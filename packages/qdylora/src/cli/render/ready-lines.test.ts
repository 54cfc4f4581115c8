import { DROP_REASONS } from '@qdylora/data';
import { expect, it } from 'vitest';
import type { ReadyEvent } from '../../recipes/run-folder/finetune-events.ts';
import { readyLines } from './ready-lines.ts';

/** A run on 1,200 rows that were cut to 128 tokens. */
const readyEvent = (
  training: number,
  dropped: number,
  reason: keyof typeof DROP_REASONS = 'cutOff',
): ReadyEvent => ({
  type: 'ready',
  backend: 'host',
  config: { quantization: 'none', computeDtype: 'f32', targetModules: 'all', maxSeqLength: 128 } as never,
  model: { name: 'm', modelType: 'llama', parameterCount: 1, weightBytes: 4 },
  adapter: { matched: ['a'], ranks: [8], trainableCount: 1 } as never,
  data: {
    training,
    heldOut: 40,
    report: {
      format: 'text',
      rows: 1200,
      measuredRows: 1200,
      dropped,
      reasons: { [DROP_REASONS[reason]]: dropped },
      truncated: 1172,
      truncatedAnswers: 1172,
      lostTokens: 144967,
      skipped: 0,
    } as never,
  },
});

it('rows that are dropped have a reason, and a remedy if they are more than a tenth', () => {
  const [, adapter, data, remedy] = readyLines(readyEvent(1022, 138));
  expect(adapter).toContain('rank 8,');
  expect(data).toBe(
    'data: 1,022 rows to train on, 40 held out (text). Cut to 128 tokens: 1,172 of 1,200 rows (1,172 of ' +
      'them lost 144,967 answer tokens). Dropped: 138 rows (138 × cut by max_seq_length before the first ' +
      'counted token).',
  );
  expect(remedy).toBe(
    '138 of 1,200 rows were cut before their first answer token: raise max_seq_length (128).',
  );
  expect(readyLines(readyEvent(1022, 138, 'masked'))).toHaveLength(3);
  expect(readyLines(readyEvent(1040, 120))).toHaveLength(3);
});
