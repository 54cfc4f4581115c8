import { describe, expect, it } from 'vitest';
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

  it('is read as in Python, not as in JavaScript', () => {
    for (const [pattern, module] of [
      ['.{,60}q_proj', Q],
      ['\\Amodel.*q_proj', Q],
      ['q_proj\\Z', Q],
      ['[]q]_proj', 'x.]_proj'],
      ['model\\.layers\\.\\d+\\.\\w{1,9}\\.q_proj', Q],
      ['x\\\\A\\{,1}', 'x\\A{,1}'],
      ['(?P<x>q)_proj', Q],
    ] as const)
      expect(value({ [pattern]: 1 }, module), pattern).toBe(1);
    expect(value({ '\\Aq_proj': 1 }, Q)).toBeUndefined();
  });

  it('that is not read is UNSUPPORTED', () => {
    for (const pattern of ['(q)_proj\\1', '(?i)Q_PROJ', '(', 'a'.repeat(2000)])
      errorOf(() => value({ [pattern]: 1 }, 'x'), 'UNSUPPORTED');
  });
});
