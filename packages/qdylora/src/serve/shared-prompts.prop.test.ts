import { createHostBackend } from '@qdylora/contract';
import { cpuLevels, createCpuBackend } from '@qdylora/cpu-kernels';
import type { Adapted } from '@qdylora/lora-dynamic';
import {
  createDecodeEngine,
  type CausalLm,
  type DecodeEngine,
  type DecodeOptions,
  type EngineUsage,
} from '@qdylora/models';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { adaptedModel, DECODE_CASES, eventsOf, LLAMA, viewAt } from '../../test/decode-cases.ts';

const levels = cpuLevels();
const why = levels.available ? '' : levels.reason;

interface Asked {
  readonly rank: number;
  readonly prompt: readonly number[];
  readonly options: DecodeOptions;
}

const answer = (engine: DecodeEngine, adapted: Adapted<CausalLm>, { rank, prompt, options }: Asked) =>
  eventsOf(engine.decode(viewAt(adapted, rank), prompt, options));

/** Answers of requests together, and of each with an engine of its own. */
async function compare(
  adapted: Adapted<CausalLm>,
  requests: readonly Asked[],
  options: Omit<Parameters<typeof createDecodeEngine>[1], 'capacityTokens'> & { capacityTokens: number },
): Promise<EngineUsage> {
  const engine = createDecodeEngine(adapted.model, options);
  const together = await Promise.all(requests.map((asked) => answer(engine, adapted, asked)));
  const usage = engine.usage();
  await engine.close();
  for (const [i, asked] of requests.entries()) {
    const { computeDtype } = options;
    const alone = createDecodeEngine(adapted.model, {
      capacityTokens: 2000,
      ...(computeDtype && { computeDtype }),
    });
    expect(together[i], JSON.stringify(asked)).toEqual(await answer(alone, adapted, asked));
    await alone.close();
  }
  return usage;
}

/** Few prompts, of which others are beginnings, and continuations. */
const arbitraryRequests = (vocabularySize: number): fc.Arbitrary<Asked[]> => {
  const id = fc.nat(vocabularySize - 1);
  return fc
    .record({
      beginnings: fc.array(fc.array(id, { minLength: 18, maxLength: 40 }), { minLength: 1, maxLength: 2 }),
      ends: fc.array(fc.array(id, { maxLength: 24 }), { minLength: 2, maxLength: 6 }),
    })
    .chain(({ beginnings, ends }) =>
      fc.array(
        fc
          .record({ beginning: fc.constantFrom(...beginnings), end: fc.constantFrom(...ends) })
          .chain(({ beginning, end }) => {
            const prompt = [...beginning, ...end];
            return fc.record({
              rank: fc.constantFrom(0, 1, 4),
              prompt: fc.constant(prompt),
              options: fc.record({
                maxNewTokens: fc.constantFrom(0, 1, 4),
                topLogProbabilities: fc.constantFrom(1, 3),
                scorePrompt: fc.constantFrom(true, true, false),
                scoreFrom: fc.constantFrom(1, beginning.length, prompt.length),
                nextTargets: fc.constantFrom([], [1], [2, 0, 3]),
              }),
            });
          }),
        { minLength: 2, maxLength: 8 },
      ),
    );
};

describe.each(DECODE_CASES)('$name', ({ name }) => {
  test('requests that begin alike get what each gets alone', async ({ skip }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, batchInvariant: true, poison: true });
    const adapted = await adaptedModel(name, backend);
    const before = backend.memory.usage().liveBytes;
    await fc.assert(
      fc.asyncProperty(
        arbitraryRequests(adapted.model.vocabularySize),
        fc.constantFrom('f32', 'bf16'),
        fc.constantFrom(150, 1000),
        async (requests, computeDtype, capacityTokens) => {
          await compare(adapted, requests, { capacityTokens, maxRunning: 4, computeDtype });
        },
      ),
      { numRuns: 2 },
    );
    expect(backend.memory.usage().liveBytes).toBe(before);
  });
});

describe('on llama', () => {
  const beginning = Array.from({ length: 60 }, (_, i) => (i * i + 3) % 17);
  const asked = (end: readonly number[], rank = 2): Asked => {
    const prompt = [...beginning, ...end];
    const options = { maxNewTokens: 0, scorePrompt: true, scoreFrom: beginning.length, nextTargets: [5] };
    return { rank, prompt, options };
  };
  const ENDS = [[1, 2, 3], [1, 2, 4, 4], [5], [6, 6]];

  test('a beginning of many requests is computed once at each rank', async () => {
    const adapted = await adaptedModel(LLAMA, createHostBackend());
    const requests = [2, 4].flatMap((rank) => ENDS.map((end) => asked(end, rank)));
    const { promptTokens, sharedPromptTokens } = await compare(adapted, requests, { capacityTokens: 1000 });
    const all = requests.reduce((sum, { prompt }) => sum + prompt.length, 0);
    expect(promptTokens + sharedPromptTokens).toBe(all);
    expect(sharedPromptTokens).toBe(2 * [59, 56, 57].reduce((sum, tokens) => sum + tokens));
  });

  test('where there is no room to keep a prompt, it is computed again', async () => {
    const adapted = await adaptedModel(LLAMA, createHostBackend());
    const requests = [asked([1]), asked([2], 4), asked([3]), asked([4], 4)];
    const options = { capacityTokens: 64, maxRunning: 1 };
    expect((await compare(adapted, requests, options)).sharedPromptTokens).toBe(0);
  });

  test('a prompt of more than 1,024 tokens has the same bits after a shared beginning', async ({ skip }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, batchInvariant: true });
    const adapted = await adaptedModel(LLAMA, backend);
    const long = Array.from({ length: 1200 }, (_, i) => (i * i) % adapted.model.vocabularySize);
    for (const computeDtype of ['f32', 'bf16'] as const) {
      const requests = [[1, 2], [3], [4, 5, 6, 7]].map((end): Asked => ({
        rank: 4,
        prompt: [...long, ...end],
        options: { maxNewTokens: 2, topLogProbabilities: 2, scorePrompt: true, scoreFrom: 1199 },
      }));
      const options = { capacityTokens: 4000, passTokens: 512, computeDtype };
      expect((await compare(adapted, requests, options)).sharedPromptTokens).toBeGreaterThan(2300);
    }
  });

  test('a first token to score beyond the prompt is refused', async () => {
    const adapted = await adaptedModel(LLAMA, createHostBackend());
    const engine = createDecodeEngine(adapted.model, { capacityTokens: 100 });
    const options = { scorePrompt: true, scoreFrom: 3 };
    expect(() => engine.decode(adapted.atRank(1), [1, 2], options)).toThrow(
      '`scoreFrom` must be within the 2',
    );
    await engine.close();
  });
});
