import { describe, expect, it } from 'vitest';
import {
  countOf,
  countText,
  decimalsFor,
  durationText,
  errorText,
  lossText,
  perplexityText,
  pValueText,
  signedText,
} from './number-text.ts';

describe('numbers of the report', () => {
  it.each([
    [lossText(0.8936), '0.894'],
    [lossText(-0.0001), '0.000'],
    [lossText(123.456), '123.5'],
    [lossText(2.5e9), '2.50e9'],
    [lossText(NaN), '–'],
    [signedText(0.0123), '+0.012'],
    [signedText(-1.0391), '−1.039'],
    [signedText(0.0001), '0.000'],
    [signedText(Infinity), '–'],
    [errorText(0.0209), '± 0.021'],
    [errorText(NaN), ''],
    [perplexityText(2.3558), '2.36'],
    [perplexityText(47.51), '47.5'],
    [perplexityText(1234.5), '1,235'],
    [perplexityText(1e300), '1.00e300'],
    [perplexityText(Infinity), '–'],
    [countText(1234567), '1,234,567'],
    [countText(0), '0'],
    [countOf(1, 'row'), 'one row'],
    [countOf(1200, 'row'), '1,200 rows'],
    [pValueText(0.0004), 'p < 0.001'],
    [pValueText(0.0421), 'p = 0.042'],
    [pValueText(0.5), 'p = 0.50'],
    [pValueText(NaN), 'p unknown'],
    [durationText(0.2), 'one second'],
    [durationText(89), '89 seconds'],
    [durationText(200), '3 minutes'],
    [durationText(12_600), '3.5 hours'],
  ])('%s is written as %s', (text, expected) => {
    expect(text).toBe(expected);
  });

  it('has as many decimals as errors need', () => {
    expect([0.05, 0.008, 0.0008, 1e-9, 0, NaN].map(decimalsFor)).toEqual([3, 3, 4, 6, 3, 3]);
  });
});
