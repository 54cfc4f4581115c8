import { readFileSync } from 'node:fs';
import { createHostBackend, QdyloraError, type Backend } from '@qdylora/contract';
import { inferenceContext } from '@qdylora/tensor';
import { describe, expect, it } from 'vitest';
import { createDecodeEngine, initializeModel, type CausalLm, type DecodeEngine } from '../index.ts';

const config = JSON.parse(
  readFileSync(new URL('../../fixtures/llama-gqa/config.json', import.meta.url), 'utf8'),
) as Record<string, unknown>;

interface LimitedBackend {
  readonly backend: Backend;
  /** The allocation after so many fails. */
  failAfter(allocations: number): void;
  liveBytes(): number;
}

function limitedBackend(): LimitedBackend {
  const host = createHostBackend();
  let left = Infinity;
  const memory: Backend['memory'] = {
    ...host.memory,
    allocate(dtype, shape) {
      if (left-- <= 0) throw new QdyloraError('OUT_OF_MEMORY', { where: 'test', problem: 'no room' });
      return host.memory.allocate(dtype, shape);
    },
  };
  return {
    backend: { ...host, memory },
    failAfter: (allocations) => (left = allocations),
    liveBytes: () => host.memory.usage().liveBytes,
  };
}

const modelOn = (backend: Backend): CausalLm => initializeModel(config, { backend });

async function idsOf(engine: DecodeEngine, model: CausalLm, prompt: readonly number[]): Promise<number[]> {
  const ids: number[] = [];
  for await (const event of engine.decode({ model, active: null }, prompt, { maxNewTokens: 3 }))
    if (event.type === 'token') ids.push(event.id);
  return ids;
}

describe('a decode engine', () => {
  it.each([
    ['rejects', () => Promise.reject(new Error('no pause'))],
    [
      'throws',
      () => {
        throw new Error('no pause');
      },
    ],
  ])('whose pause %s ends the requests with that error, and answers the next one', async (_, fail) => {
    const model = modelOn(createHostBackend());
    let isBroken = true;
    const pause = (): Promise<void> => (isBroken ? fail() : Promise.resolve());
    const engine = createDecodeEngine(model, { capacityTokens: 64, pause });
    await expect(idsOf(engine, model, [1, 2, 3])).rejects.toThrow('no pause');
    isBroken = false;
    expect(await idsOf(engine, model, [1, 2, 3])).toHaveLength(3);
    await engine.close();
  });

  it('ends a request whose shared tokens cannot be copied, and gives its place back', async () => {
    const host = createHostBackend();
    let isBroken = false;
    const model = modelOn({
      ...host,
      kernel(name) {
        if (isBroken && name === 'copy') throw new Error('no copy');
        return host.kernel(name);
      },
    });
    const prompt = Array.from({ length: 40 }, (_, i) => i);
    const engine = createDecodeEngine(model, { capacityTokens: 256 });
    const ids = await idsOf(engine, model, prompt);
    isBroken = true;
    await expect(idsOf(engine, model, prompt)).rejects.toThrow('no copy');
    expect(engine.usage().reservedTokens).toBe(0);
    isBroken = false;
    expect(await idsOf(engine, model, prompt)).toEqual(ids);
    expect(engine.usage().sharedPromptTokens).toBeGreaterThan(0);
    await engine.close();
  });

  it('that is closed twice is closed when either promise resolves', async () => {
    const { backend, liveBytes } = limitedBackend();
    const model = modelOn(backend);
    const before = liveBytes();
    const engine = createDecodeEngine(model, { capacityTokens: 64 });
    const answer = idsOf(engine, model, [1, 2, 3]);
    answer.catch(() => {});
    await Promise.resolve();
    void engine.close();
    await engine.close();
    expect(liveBytes()).toBe(before);
    await expect(answer).rejects.toThrow('The engine was closed');
  });
});

describe('without room for all arrays, nothing stays allocated by', () => {
  it('createDecodeEngine', () => {
    const { backend, failAfter, liveBytes } = limitedBackend();
    const model = modelOn(backend);
    const before = liveBytes();
    for (const allocations of [0, 1, 2]) {
      failAfter(allocations);
      expect(() => createDecodeEngine(model, { capacityTokens: 64 })).toThrow('no room');
      expect(liveBytes()).toBe(before);
    }
  });

  it('createCache', () => {
    const { backend, failAfter, liveBytes } = limitedBackend();
    const model = modelOn(backend);
    const before = liveBytes();
    for (const allocations of [0, 1, 2]) {
      failAfter(allocations);
      expect(() => model.createCache(64)).toThrow('no room');
      expect(liveBytes()).toBe(before);
    }
  });

  it('createLikeliestStep', () => {
    const { backend, failAfter, liveBytes } = limitedBackend();
    const model = modelOn(backend);
    using cache = model.createCache(64);
    const before = liveBytes();
    for (const allocations of [0, 1, 2, 3, 4]) {
      failAfter(allocations);
      const create = (): unknown =>
        model.createLikeliestStep(inferenceContext(backend), cache, { hasCodes: true });
      expect(create).toThrow('no room');
      expect(liveBytes()).toBe(before);
    }
  });

  it('a pass of an engine, which answers the next request', async () => {
    const { backend, failAfter, liveBytes } = limitedBackend();
    const model = modelOn(backend);
    const engine = createDecodeEngine(model, { capacityTokens: 64 });
    const before = liveBytes();
    for (const allocations of [0, 1, 4, 7]) {
      failAfter(allocations);
      await expect(idsOf(engine, model, [1, 2, 3])).rejects.toThrow('no room');
      expect(liveBytes()).toBe(before);
    }
    failAfter(Infinity);
    expect(await idsOf(engine, model, [1, 2, 3])).toHaveLength(3);
    await engine.close();
  });
});
