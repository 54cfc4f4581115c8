import { setImmediate } from 'node:timers/promises';
import { createHostBackend } from '@qdylora/contract';
import { cpuLevels, createCpuBackend } from '@qdylora/cpu-kernels';
import type { Adapted } from '@qdylora/lora-dynamic';
import {
  createDecodeEngine,
  type CausalLm,
  type DecodeEngineOptions,
  type DecodeEvent,
  type DecodeOptions,
  type EngineUsage,
} from '@qdylora/models';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adaptedModel, DECODE_CASES, eventsOf, LLAMA, viewAt } from '../../test/decode-cases.ts';

const levels = cpuLevels();
const why = levels.available ? '' : levels.reason;

interface Asked {
  /** Turns of the event loop before it comes; a pass takes one. */
  readonly delay: number;
  readonly rank: number;
  readonly prompt: readonly number[];
  readonly options: DecodeOptions;
}

const turn = () => setImmediate();

/** The events of requests that run together, and what the engine did. */
async function answersOf(
  adapted: Adapted<CausalLm>,
  requests: readonly Asked[],
  options: Partial<DecodeEngineOptions>,
): Promise<{ answers: DecodeEvent[][]; usage: EngineUsage }> {
  const engine = createDecodeEngine(adapted.model, { capacityTokens: 600, pause: turn, ...options });
  const answers = await Promise.all(
    requests.map(async ({ delay, rank, prompt, options }) => {
      for (let i = 0; i < delay; i++) await turn();
      return eventsOf(engine.decode(viewAt(adapted, rank), prompt, options));
    }),
  );
  const usage = engine.usage();
  await engine.close();
  return { answers, usage };
}

/** Prompts of few different tokens, so that the last two have often occurred before. */
const arbitraryRequest = (vocabularySize: number): fc.Arbitrary<Asked> =>
  fc.record({
    delay: fc.nat(12),
    rank: fc.constantFrom(0, 1, 4),
    prompt: fc
      .array(fc.nat(vocabularySize - 1), { minLength: 1, maxLength: 3 })
      .chain((ids) => fc.array(fc.constantFrom(...ids), { minLength: 1, maxLength: 40 })),
    options: fc.record({
      maxNewTokens: fc.integer({ min: 0, max: 25 }),
      temperature: fc.constantFrom(0, 0, 0.1, 1),
      repetitionPenalty: fc.constantFrom(1, 1, 1.2),
      stopIds: fc.constantFrom([], [3, 5, 7]),
      topLogProbabilities: fc.constantFrom(undefined, undefined, 2),
      scorePrompt: fc.boolean(),
    }),
  }) as fc.Arbitrary<Asked>;

/** Texts of which every model here repeats something. */
const REPEATED: readonly Asked[] = [1, 4].map((rank) => ({
  delay: 0,
  rank,
  prompt: [3, 1, 4, 3, 1, 4, 3, 1],
  options: { maxNewTokens: 40 },
}));

describe.each(DECODE_CASES)('$name', ({ name }) => {
  test('answers with drafts are those without, bit for bit', async ({ skip }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, batchInvariant: true, poison: true });
    const adapted = await adaptedModel(name, backend);
    const before = backend.memory.usage().liveBytes;
    let acceptedTokens = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitraryRequest(adapted.model.vocabularySize), { minLength: 1, maxLength: 3 }),
        fc.constantFrom(1, 2, 3, 7),
        fc.constantFrom('f32', 'bf16'),
        async (requests, draftTokens, computeDtype) => {
          const plain = await answersOf(adapted, requests, { computeDtype });
          const drafting = await answersOf(adapted, requests, { computeDtype, draftTokens });
          expect(drafting.answers).toEqual(plain.answers);
          expect(drafting.usage.newTokens).toBe(plain.usage.newTokens);
          expect(plain.usage.draftedTokens).toBe(0);
          acceptedTokens += drafting.usage.acceptedTokens;
        },
      ),
      { numRuns: 4, examples: [[[...REPEATED], 3, 'f32']] },
    );
    expect(acceptedTokens).toBeGreaterThan(20);
    expect(backend.memory.usage().liveBytes).toBe(before);
  });
});

describe('on llama', () => {
  const asked: Asked = { ...REPEATED[0], options: { maxNewTokens: 60 } };

  test('a text that repeats itself takes fewer passes', async () => {
    const adapted = await adaptedModel(LLAMA, createHostBackend());
    const { usage: plain } = await answersOf(adapted, [asked], {});
    const { usage: drafting } = await answersOf(adapted, [asked], { draftTokens: 3 });
    expect(plain.passes).toBe(60);
    expect(drafting.acceptedTokens).toBeGreaterThan(20);
    expect(drafting.passes).toBe(60 - drafting.acceptedTokens);
    expect(drafting.draftedTokens).toBeGreaterThanOrEqual(drafting.acceptedTokens);
  });

  test('a sampled text repeats itself in fewer passes, too', async () => {
    const adapted = await adaptedModel(LLAMA, createHostBackend());
    const sampled: Asked = {
      ...asked,
      options: { ...asked.options, temperature: 0.01, topLogProbabilities: 2 },
    };
    const plain = await answersOf(adapted, [sampled], {});
    const drafting = await answersOf(adapted, [sampled], { draftTokens: 3 });
    expect(drafting.answers).toEqual(plain.answers);
    expect(drafting.usage.acceptedTokens).toBeGreaterThan(20);
    expect(drafting.usage.passes).toBe(60 - drafting.usage.acceptedTokens);
  });

  test('a request that is cancelled beside one with drafts leaves the other as it is', async () => {
    const adapted = await adaptedModel(LLAMA, createHostBackend());
    const { answers } = await answersOf(adapted, [asked], { draftTokens: 3 });
    const controller = new AbortController();
    const engine = createDecodeEngine(adapted.model, { capacityTokens: 600, draftTokens: 3, pause: turn });
    const view = adapted.atRank(asked.rank);
    const cancelled = (async () => {
      let tokens = 0;
      for await (const { type } of engine.decode(view, asked.prompt, { signal: controller.signal }))
        if (type === 'token' && ++tokens === 5) controller.abort(new Error('gone'));
    })();
    const beside = eventsOf(engine.decode(view, asked.prompt, asked.options));
    await expect(cancelled).rejects.toThrow('gone');
    expect([await beside]).toEqual(answers);
    await engine.close();
  });

  test('beside several requests there are no drafts', async () => {
    const adapted = await adaptedModel(LLAMA, createHostBackend());
    const { usage } = await answersOf(adapted, [asked, asked, asked], { draftTokens: 3 });
    expect(usage.draftedTokens).toBe(0);
  });
});
