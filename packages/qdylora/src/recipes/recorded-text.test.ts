import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { wrapBackend, type Backend } from '@qdylora/contract';
import { cpuLevels, createCpuBackend } from '@qdylora/cpu-kernels';
import { attachDyLora, groupFrozenLayers } from '@qdylora/lora-dynamic';
import { buildModel, generate, oneSequence, type CausalLm } from '@qdylora/models';
import { inferenceContext, type ActiveRank } from '@qdylora/tensor';
import { modelCases } from '@qdylora/testing';
import { describe, expect, test } from 'vitest';

const FOLDER = fileURLToPath(new URL('../../../models/fixtures/', import.meta.url));
const levels = cpuLevels();
const why = levels.available ? '' : levels.reason;
const CASES = modelCases((file) => readFileSync(`${FOLDER}${file}`)).filter(
  ({ name }) => !name.endsWith('hub-names'),
);
const PROMPT = [3, 1, 4, 1, 5];
const TOKENS = 20;

type View = { readonly model: CausalLm; readonly active: ActiveRank | null };

/** The same model on kernels, alone and adapted; whether a step is recorded is the backend's to say. */
async function viewsOf(name: string, backend: Backend): Promise<Record<string, View>> {
  using checkpoint = await openCheckpoint(`${FOLDER}${name}`);
  const model = await buildModel(checkpoint, { backend });
  const adapted = attachDyLora(model, { ranks: [1, 2], seed: 7 });
  for (const { view } of adapted.parameters())
    backend.memory.fill(view, (values) => {
      for (let i = 0; i < values.length; i++) values[i] = 0.3 * Math.sin(i + values.length);
    }); // B begins at 0, which says nothing
  return {
    alone: { model, active: null },
    grouped: { model: groupFrozenLayers(model), active: null },
    adapted: adapted.atRank(2),
  };
}

async function textOf(view: View, options: object): Promise<number[]> {
  const ids: number[] = [];
  for await (const id of generate(view, PROMPT, { maxNewTokens: TOKENS, ...options })) ids.push(id);
  return ids;
}

async function logitsOf({ model, active }: View): Promise<number[][]> {
  const ctx = { ...inferenceContext(model.backend, 'bf16'), active };
  const rows: number[][] = [];
  using cache = model.createCache(PROMPT.length + TOKENS);
  rows.push([...(await model.nextLogits(ctx, oneSequence(PROMPT), cache))]);
  using step = model.createLogitsStep(ctx, cache);
  for (let i = 0; i < TOKENS; i++) rows.push([...(await step.next((7 * i) % 11))]);
  return rows;
}

describe.each(CASES)('$name', ({ name }) => {
  test('a text whose steps are replayed has the tokens and the logits of steps made anew', async ({
    skip,
  }) => {
    skip(!levels.available, why);
    using backend = await createCpuBackend({ numThreads: 2, regionBytes: 1 << 22, poison: true });
    const recorded = await viewsOf(name, backend);
    const anew = await viewsOf(name, wrapBackend(backend, { record: undefined }));
    for (const key of Object.keys(recorded)) {
      const [a, b] = [recorded[key], anew[key]];
      for (const options of [{}, { computeDtype: 'bf16' }, { temperature: 1, seed: 5 }])
        expect(await textOf(a, options), `${key} ${JSON.stringify(options)}`).toEqual(
          await textOf(b, options),
        );
      expect(await logitsOf(a), key).toEqual(await logitsOf(b));
    }
  });
});
