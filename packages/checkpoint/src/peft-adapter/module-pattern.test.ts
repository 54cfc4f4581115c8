import { describe, expect, it } from 'vitest';
import { cpuStopwatch } from '../test-support/cpu-stopwatch.ts';
import { errorOf } from '../test-support/error-of.ts';
import { modulePattern } from './module-pattern.ts';

const Q = 'model.layers.0.self_attn.q_proj';

describe('a pattern of modules', () => {
  const value = (patterns: Record<string, number>, module: string) =>
    modulePattern('a', 'rank_pattern', new Map(Object.entries(patterns)))(module);

  it('fits a whole name or a dotted end, first key first', () => {
    expect(value({ q_proj: 1 }, 'x.q_proj')).toBe(1);
    expect(value({ q_proj: 1 }, 'x.xq_proj')).toBeUndefined();
    expect(value({ 'self_attn.q_proj': 1, q_proj: 2 }, 'x.self_attn.q_proj')).toBe(1);
    expect(value({ '^q_proj': 1 }, 'x.q_proj')).toBeUndefined();
    expect(value({ '^x\\.q_proj': 1 }, 'x.q_proj')).toBe(1);
    expect(value({ 'layers\\.[01]\\..*q_proj': 1 }, 'model.layers.1.self_attn.q_proj')).toBe(1);
    expect(value({ '(q|v)_proj': 1 }, 'x.v_proj')).toBe(1);
    expect(value({ 'a|b': 1 }, 'x.ab')).toBeUndefined();
  });

  it('that JavaScript would read in another way than Python is UNSUPPORTED', () => {
    const different = [
      '.{,60}q_proj',
      '.{,}q_proj',
      '\\Amodel.*q_proj',
      'q_proj\\Z',
      '(q)_proj\\1',
      '[]q]_proj',
    ];
    for (const pattern of different) errorOf(() => value({ [pattern]: 1 }, Q), 'UNSUPPORTED');
    expect(value({ 'model\\.layers\\.\\d+\\.\\w{1,9}\\.q_proj': 1 }, Q)).toBe(1);
    expect(value({ 'x\\\\A\\{,1}': 1 }, 'x\\A{,1}')).toBe(1);
  });

  it('that could take for ever, or that is none, is UNSUPPORTED', () => {
    for (const pattern of ['(a+)+', '(a|a)*b', '(a{1,9}){1,9}', '.*.*.*x', '(', '(?P<x>a)', 'a'.repeat(300)])
      errorOf(() => value({ [pattern]: 1 }, 'x'), 'UNSUPPORTED');
    const elapsed = cpuStopwatch();
    value({ '.*.*x': 1 }, 'a.'.repeat(128));
    expect(elapsed()).toBeLessThan(1000);
  });
});
