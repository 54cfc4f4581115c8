import { createHostBackend, type Backend, type QdyloraError } from '@qdylora/contract';
import { cpuLevels, createCpuBackend } from '@qdylora/cpu-kernels';
import type { Adapted } from '@qdylora/lora-dynamic';
import {
  createDecodeEngine,
  generate,
  oneSequence,
  type CausalLm,
  type DecodeEngine,
  type DecodeEvent,
  type DecodeOptions,
  type DecodeView,
} from '@qdylora/models';
import { inferenceContext } from '@qdylora/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  adaptedModel,
  adapterAround,
  DECODE_CASES,
  decodeModel,
  eventsOf,
  LLAMA,
  viewAt,
} from '../../test/decode-cases.ts';

const levels = cpuLevels();
const why = levels.available ? '' : levels.reason;

interface Asked {
  readonly rank: number;
  readonly prompt: readonly number[];
  readonly options: DecodeOptions;
}

const arbitraryRequest = (vocabularySize: number, longest: number): fc.Arbitrary<Asked> =>
  fc.record({
    rank: fc.constantFrom(0, 1, 2, 3, 4),
    prompt: fc.array(fc.nat(vocabularySize - 1), { minLength: 1, maxLength: longest }),
    options: fc.record({
      maxNewTokens: fc.integer({ min: 1, max: 12 }),
      temperature: fc.constantFrom(0, 0, 1),
      seed: fc.nat(5),
      stopIds: fc.constantFrom([], [3, 5, 7]),
    }),
  });

const idsOf = (events: readonly DecodeEvent[]): number[] =>
  events.flatMap((event) => (event.type === 'token' ? [event.id] : []));

async function generated(view: DecodeView, { prompt, options }: Asked): Promise<number[]> {
  const ids: number[] = [];
  for await (const id of generate(view, prompt, options)) ids.push(id);
  return ids;
}

const decodeWith = (engine: DecodeEngine, adapted: Adapted<CausalLm>, { rank, prompt, options }: Asked) =>
  eventsOf(engine.decode(viewAt(adapted, rank), prompt, options));

describe.each(DECODE_CASES)('$name', ({ name }) => {
  test('requests of several ranks in one batch get the tokens of `generate` alone', async ({ skip }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, batchInvariant: true, poison: true });
    const adapted = await adaptedModel(name, backend);
    const { vocabularySize } = adapted.model;
    const before = backend.memory.usage().liveBytes;
    await fc.assert(
      fc.asyncProperty(
        fc.array(arbitraryRequest(vocabularySize, 9), { minLength: 1, maxLength: 8 }),
        async (requests) => {
          const engine = createDecodeEngine(adapted.model, { capacityTokens: 60, maxRunning: 4 });
          const answers = await Promise.all(requests.map((asked) => decodeWith(engine, adapted, asked)));
          await engine.close();
          for (const [i, asked] of requests.entries()) {
            const alone = await generated(viewAt(adapted, asked.rank), asked);
            expect(idsOf(answers[i]), JSON.stringify(asked)).toEqual(alone);
            const reason = alone.length === asked.options.maxNewTokens ? 'length' : 'stop';
            const stopToken = reason === 'stop' ? expect.objectContaining({ logProbability: null }) : null;
            expect(answers[i].at(-1)).toEqual({ type: 'end', reason, stopToken });
          }
        },
      ),
      { numRuns: 8 },
    );
    expect(backend.memory.usage().liveBytes).toBe(before);
  });
});

describe('on llama', () => {
  const PROMPT = [3, 1, 4, 1, 5];

  /** An engine on a fresh adapted model; all its memory is released again at the end. */
  async function withEngine(
    options: Partial<Parameters<typeof createDecodeEngine>[1]>,
    use: (engine: DecodeEngine, adapted: Adapted<CausalLm>, other: Adapted<CausalLm>) => Promise<void>,
    backend: Backend = createHostBackend(),
  ): Promise<void> {
    const base = await decodeModel(LLAMA, backend);
    const adapted = adapterAround(base);
    const other = adapterAround(base, 1);
    const before = backend.memory.usage().liveBytes;
    const engine = createDecodeEngine(adapted.model, { capacityTokens: 100, ...options });
    await use(engine, adapted, other);
    await engine.close();
    expect(backend.memory.usage().liveBytes).toBe(before);
  }

  test('passes that are replayed with room for many keys give the same tokens', async ({ skip }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, batchInvariant: true, poison: true });
    const promptOf = (length: number, i: number): number[] =>
      Array.from({ length }, (_, at) => (7 * at + i) % 50);
    await withEngine(
      { capacityTokens: 640, maxRunning: 4 },
      async (engine, adapted) => {
        for (const length of [100, 20, 60]) {
          const asked = [0, 1, 2, 3].map((i) => ({
            rank: 4,
            prompt: promptOf(length, i),
            options: { maxNewTokens: 12, temperature: 0 },
          }));
          const answers = await Promise.all(asked.map((each) => decodeWith(engine, adapted, each)));
          for (const [i, each] of asked.entries())
            expect(idsOf(answers[i])).toEqual(await generated(adapted.atRank(4), each));
        }
      },
      backend,
    );
  });

  test('log-probabilities have the same bits alone and beside other ranks and adapters', async ({ skip }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, batchInvariant: true });
    await withEngine(
      { maxRunning: 6 },
      async (engine, adapted, other) => {
        const options = { maxNewTokens: 6, topLogProbabilities: 3, scorePrompt: true };
        const requests = [0, 1, 3, 4].map((rank) => ({
          rank,
          prompt: PROMPT.slice(0, 2 + (rank % 3)),
          options,
        }));
        const alone: DecodeEvent[][] = [];
        for (const asked of requests) alone.push(await decodeWith(engine, adapted, asked));
        const [together, ofOther] = await Promise.all([
          Promise.all(requests.map((asked) => decodeWith(engine, adapted, asked))),
          Promise.all(requests.map((asked) => decodeWith(engine, other, asked))),
        ]);
        expect(together).toEqual(alone);
        expect(ofOther[0]).toEqual(alone[0]); // the base
        expect(ofOther[3]).not.toEqual(alone[3]);
        expect(engine.usage()).toMatchObject({ running: 0, waiting: 0 });
      },
      backend,
    );
  });

  test('a prompt that is read in pieces has the scores of one pass', async ({ skip }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, batchInvariant: true });
    await withEngine(
      { capacityTokens: 2000 },
      async (engine, adapted) => {
        const ids = Array.from({ length: 700 }, (_, i) => (i * i) % adapted.model.vocabularySize);
        const view = adapted.atRank(3);
        for (const computeDtype of ['f32'] as const) {
          const [prompt] = await eventsOf(
            engine.decode(view, ids, { maxNewTokens: 0, scorePrompt: true, topLogProbabilities: 2 }),
          );
          const scored = await adapted.model.scoreTargets(
            { ...inferenceContext(backend, computeDtype), active: view.active },
            { ...oneSequence(ids), targets: Int32Array.from([...ids.slice(1), -100]) },
          );
          if (prompt.type !== 'prompt') throw new Error(prompt.type);
          expect(prompt.scores!.logProbabilities).toEqual(scored.tokenLosses.map((loss) => -loss));
          expect(ids.slice(1).map((_, i) => prompt.scores!.topIds[2 * i])).toEqual([
            ...scored.likeliest.slice(0, -1),
          ]);
        }
      },
      backend,
    );
  });

  test('a request that waits for room gets it when another one ends', async () => {
    await withEngine({ capacityTokens: 20, maxRunning: 8 }, async (engine, adapted) => {
      const asked = { rank: 2, prompt: PROMPT, options: { maxNewTokens: 8 } };
      const answers = Promise.all(Array.from({ length: 5 }, () => decodeWith(engine, adapted, asked)));
      expect(engine.usage()).toMatchObject({ running: 0, waiting: 5 });
      const [first, ...others] = await answers;
      for (const events of others) expect(events).toEqual(first);
      expect(engine.usage()).toMatchObject({ promptTokens: 25, newTokens: 40 });
    });
  });

  test('requests beyond the queue, too long ones and wrong ones are refused at once', async () => {
    await withEngine({ maxRunning: 1, maxWaiting: 1 }, async (engine, adapted) => {
      const view = adapted.atRank(1);
      const codeOf = (prompt: number[], options: DecodeOptions): string => {
        try {
          engine.decode(view, prompt, options);
          return 'none';
        } catch (error) {
          return (error as QdyloraError).code;
        }
      };
      expect(codeOf(PROMPT, { maxNewTokens: 97 })).toBe('BAD_ARGUMENT');
      expect(codeOf([-1], {})).toBe('BAD_ARGUMENT');
      expect(codeOf([], {})).toBe('BAD_ARGUMENT');
      expect(codeOf(PROMPT, { temperature: -1 })).toBe('BAD_ARGUMENT');
      // what would fail within a pass would end the requests beside it
      const { vocabularySize } = view.model;
      expect(codeOf(PROMPT, { scorePrompt: true, nextTargets: [vocabularySize] })).toBe('BAD_ARGUMENT');
      expect(codeOf(PROMPT, { scorePrompt: true, nextTargets: [-100] })).toBe('BAD_ARGUMENT');
      expect(codeOf(PROMPT, { topLogProbabilities: vocabularySize + 1 })).toBe('BAD_ARGUMENT');
      expect(codeOf(PROMPT, { maxNewTokens: 2 })).toBe('none'); // will run
      expect(codeOf(PROMPT, { maxNewTokens: 2 })).toBe('none'); // will wait
      expect(codeOf(PROMPT, { maxNewTokens: 2 })).toBe('BUSY');
    });
  });

  test('requests are refused only where no place is free, however many may wait', async () => {
    await withEngine({ maxRunning: 2, maxWaiting: 0 }, async (engine, adapted) => {
      const ask = () => engine.decode(adapted.atRank(1), PROMPT, { maxNewTokens: 2 });
      const answers = [ask(), ask()];
      expect(ask).toThrow(/wait already/);
      await Promise.all(answers.map(eventsOf));
      await eventsOf(ask());
    });
  });

  test('a cancelled request frees its place, and the others get their tokens', async () => {
    await withEngine({ capacityTokens: 300, maxRunning: 2 }, async (engine, adapted) => {
      const asked = { rank: 4, prompt: PROMPT, options: { maxNewTokens: 20 } };
      const alone = await decodeWith(engine, adapted, asked);
      const controller = new AbortController();
      const aborted = eventsOf(
        engine.decode(adapted.atRank(1), PROMPT, { maxNewTokens: 80, signal: controller.signal }),
      );
      const left = (async () => {
        for await (const event of engine.decode(adapted.atRank(2), PROMPT, { maxNewTokens: 80 }))
          if (event.type === 'token') break;
      })();
      const third = decodeWith(engine, adapted, asked);
      await left;
      controller.abort(new Error('gone'));
      await expect(aborted).rejects.toThrow('gone');
      expect(await third).toEqual(alone);
      expect(engine.usage()).toMatchObject({ running: 0, waiting: 0 });
    });
  });

  test('closing ends requests that run and that wait', async () => {
    await withEngine({ maxRunning: 1 }, async (engine, adapted) => {
      const asked = { rank: 4, prompt: PROMPT, options: { maxNewTokens: 60 } };
      const answers = [0, 1].map(() => decodeWith(engine, adapted, asked));
      const outcomes = Promise.allSettled(answers);
      await engine.close();
      for (const outcome of await outcomes)
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ABORTED' } });
      expect(() => engine.decode(adapted.atRank(1), PROMPT)).toThrow('closed');
    });
  });

  test('a repetition penalty makes a greedy text repeat less, and 1 changes nothing', async () => {
    await withEngine({}, async (engine, adapted) => {
      const idsWith = async (repetitionPenalty: number): Promise<number[]> =>
        idsOf(
          await decodeWith(engine, adapted, {
            rank: 4,
            prompt: PROMPT,
            options: { maxNewTokens: 30, repetitionPenalty },
          }),
        );
      const plain = await generated(adapted.atRank(4), {
        rank: 4,
        prompt: PROMPT,
        options: { maxNewTokens: 30 },
      });
      expect(await idsWith(1)).toEqual(plain);
      expect(new Set(await idsWith(1.5)).size).toBeGreaterThan(new Set(plain).size);
    });
  });
});
