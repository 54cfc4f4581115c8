import { describe, expect, it } from 'vitest';
import { smoothingWindow, smoothLosses } from './smooth-losses.ts';

describe('smoothLosses', () => {
  it('takes narrower windows at the start and the steps that are left at the end', () => {
    expect(smoothLosses([9, 3, 6, 0, 3], 5)).toEqual([9, 6, 4.2, 3, 3]);
  });

  it('leaves skipped steps out', () => {
    expect(smoothLosses([1, NaN, 3], 3)).toEqual([1, 2, 3]);
    expect(smoothLosses([NaN], 1)).toEqual([NaN]);
  });

  it('never changes a constant loss', () => {
    expect(smoothLosses(new Array(40).fill(2), smoothingWindow(40))).toEqual(new Array(40).fill(2));
  });
});

describe('smoothingWindow', () => {
  it('is odd, and 1 for a short run', () => {
    for (const steps of [0, 1, 11, 12, 150, 5000]) expect(smoothingWindow(steps) % 2).toBe(1);
    expect(smoothingWindow(11)).toBe(1);
  });
});
