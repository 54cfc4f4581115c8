import { expect, it } from 'vitest';
import { probeIds } from './probe-logits.ts';

it('a model without a tokenizer is asked about no more tokens than it has positions for', () => {
  expect(probeIds(null, { vocabularySize: 100, positionLimit: 16 })).toHaveLength(16);
  expect(probeIds(null, { vocabularySize: 100, positionLimit: Infinity })).toHaveLength(48);
});
