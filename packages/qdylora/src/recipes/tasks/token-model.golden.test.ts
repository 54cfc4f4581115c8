import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { templateValue, type PythonDict } from '@qdylora/data';
import { answerRequests, type LogLikelihood, type ModelRequest, type TokenModel } from '@qdylora/eval';
import { createDecodeEngine, type DecodeEngine } from '@qdylora/models';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { valuesOfOptions } from '../../config/explicit-values.ts';
import { EVALUATE_TASKS_KEYS } from '../../config/task-keys.ts';
import { checkModelValues, openModel, type OpenModel } from '../opening/open-model.ts';
import { tokenModel } from './token-model.ts';

interface Expected {
  readonly max_length: number;
  readonly pairs: readonly {
    readonly context: string;
    readonly continuation: string;
    readonly log_likelihood: number;
    readonly is_greedy: boolean;
  }[];
  readonly texts: readonly { readonly text: string; readonly log_likelihood: number }[];
  readonly prompts: readonly {
    readonly prompt: string;
    readonly settings: Readonly<Record<string, unknown>>;
    readonly text: string;
  }[];
}

/**
 * What lm-evaluation-harness 0.4.13 computes with the embedded base on transformers in float32, on windows of
 * 64 tokens (packages/testing/makers/make_harness_model.py).
 */
const EXPECTED = JSON.parse(
  readFileSync(new URL('../../../../eval/fixtures/harness/model.expected.json', import.meta.url), 'utf8'),
) as Expected;
interface Letters {
  readonly cases: readonly {
    readonly prompt: string;
    readonly letter_logits: readonly number[];
    readonly choice: number;
  }[];
}

/** Logits of A, B, C, D on transformers (packages/testing/makers/make_qlora_letters.py). */
const LETTERS = JSON.parse(
  readFileSync(new URL('../../../../eval/fixtures/qlora/letters.expected.json', import.meta.url), 'utf8'),
) as Letters;
const BASE = fileURLToPath(new URL('../../../../embedded-base/model', import.meta.url));
/** Two float32 models of 8 layers differ by about 1e-5 in each log p; a text has up to 130 tokens. */
const TOLERANCE_PER_TOKEN = 2e-5;

describe('a model answers requests as the harness does', () => {
  let opened: OpenModel;
  let engine: DecodeEngine;
  let model: TokenModel;
  beforeAll(async () => {
    const config = checkModelValues(EVALUATE_TASKS_KEYS, valuesOfOptions({ model: BASE }));
    opened = await openModel(config, { adapter: null, warn: () => {} });
    const tokenizer = (await opened.source.openTokenizer())!;
    const view = { model: opened.model, active: null };
    const stopIds = [tokenizer.eosId!];
    engine = createDecodeEngine(opened.model, { capacityTokens: 1000, maxWaiting: 100 });
    model = {
      ...tokenModel(view, { engine, tokenizer, stopIds, concurrency: 3 }),
      maxLength: EXPECTED.max_length,
    };
  });
  afterAll(async () => {
    await engine.close();
    opened.dispose();
  });

  const answers = async (requests: readonly ModelRequest[]) => answerRequests(requests, model);

  it('likelihoods of continuations, alone and in batches', async () => {
    const requests = EXPECTED.pairs.map(({ context, continuation }): ModelRequest => ({
      type: 'loglikelihood',
      context,
      continuation,
    }));
    const { responses, cutContexts } = await answers(requests);
    expect(cutContexts).toBe(3);
    EXPECTED.pairs.forEach((pair, i) => {
      const { logLikelihood, isGreedy } = responses[i] as LogLikelihood;
      const tokens = model.tokenizer.encode(pair.continuation).length;
      expect(Math.abs(logLikelihood - pair.log_likelihood), pair.continuation).toBeLessThan(
        tokens * TOLERANCE_PER_TOKEN,
      );
      expect(isGreedy).toBe(pair.is_greedy);
    });
    const [alone] = (await answers(requests.slice(3, 4))).responses as LogLikelihood[];
    expect(alone).toEqual(responses[3]);
  });

  it('letters as QLoRA scores them', async () => {
    const whole = { ...model, maxLength: opened.model.config.maxPositions };
    const requests = LETTERS.cases.flatMap(({ prompt }) =>
      [...'ABCD'].map((letter): ModelRequest => ({
        type: 'loglikelihood',
        context: prompt,
        continuation: letter,
        isToken: true,
      })),
    );
    const { responses } = await answerRequests(requests, whole);
    LETTERS.cases.forEach(({ letter_logits: logits, choice }, i) => {
      const scores = (responses as LogLikelihood[]).slice(4 * i, 4 * i + 4).map((each) => each.logLikelihood);
      expect(scores.indexOf(Math.max(...scores))).toBe(choice);
      logits.forEach((logit, k) => {
        const difference = scores[k]! - scores[0]! - (logit - logits[0]!);
        expect(Math.abs(difference)).toBeLessThan(2 * TOLERANCE_PER_TOKEN);
      });
    });
  });

  it('likelihoods of whole texts, in windows', async () => {
    const { responses } = await answers(
      EXPECTED.texts.map(({ text }): ModelRequest => ({ type: 'loglikelihood_rolling', text })),
    );
    EXPECTED.texts.forEach(({ text, log_likelihood: expected }, i) => {
      const tokens = model.tokenizer.encode(text).length;
      expect(Math.abs((responses[i] as number) - expected)).toBeLessThanOrEqual(tokens * TOLERANCE_PER_TOKEN);
    });
  });

  it('generated texts up to a stop text, with prompts that are too long', async () => {
    const { responses, cutContexts } = await answers(
      EXPECTED.prompts.map(({ prompt, settings }): ModelRequest => ({
        type: 'generate_until',
        context: prompt,
        settings: templateValue(settings) as PythonDict,
      })),
    );
    expect(responses).toEqual(EXPECTED.prompts.map(({ text }) => text));
    expect(cutContexts).toBeGreaterThan(0);
  });

  it('an aborted evaluation ends between two tokens', async () => {
    const abort = new AbortController();
    const settings = templateValue({ until: [], max_gen_toks: 40 }) as PythonDict;
    const counting: TokenModel = {
      ...model,
      async *generate(prompt, maxNewTokens) {
        let written = 0;
        for await (const id of model.generate(prompt, maxNewTokens)) {
          if (++written === 3) abort.abort();
          if (written > 3) throw new Error('it went on');
          yield id;
        }
      },
    };
    const request: ModelRequest = { type: 'generate_until', context: 'Once', settings };
    await expect(answerRequests([request], counting, { signal: abort.signal })).rejects.toThrow(
      'The evaluation was aborted',
    );
  });

  it('sampling is refused', async () => {
    const settings = templateValue({ until: ['.'], do_sample: true }) as PythonDict;
    await expect(answers([{ type: 'generate_until', context: 'a', settings }])).rejects.toThrow(
      'Tasks are judged by greedy decoding, and the task asks for sampling',
    );
  });
});
