import { describe, expect, it, vi } from 'vitest';
import { servedModels, type ServedAdapter } from './served-models.ts';

describe('served models', () => {
  it('are used at the quantization level of the server, the base too', () => {
    const adapted = { atRank: vi.fn(), base: vi.fn() };
    const adapter = { name: 'smol', adapted, ranks: [1, 2], isNested: true, recommendedRank: 2 };
    const models = servedModels(
      [{ ...adapter, style: { usesTemplate: false } } as unknown as ServedAdapter],
      3,
    );
    models.find('smol:r1');
    models.find('smol:base');
    expect(adapted.atRank).toHaveBeenCalledExactlyOnceWith(1, { level: 3 });
    expect(adapted.base).toHaveBeenCalledExactlyOnceWith({ level: 3 });
  });
});
