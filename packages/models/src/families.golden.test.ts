import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint, readHfConfig, type Checkpoint } from '@qdylora/checkpoint';
import { createHostBackend } from '@qdylora/contract';
import {
  goldenNumbers,
  goldenTokens,
  gradientsOf,
  logitsOf,
  modelCases,
  worstGradientError,
  worstLogitError,
} from '@qdylora/testing';
import { goldenSums } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { buildModel, describeModel, FAMILIES, generate, type CausalLm } from './index.ts';
import { supportTable, type Proof } from './test-support/support-table.ts';

/**
 * Tiny checkpoints of every family and what transformers 5.24 computes with them, in float64 (hashes lie
 * beside them, makers in packages/testing/makers).
 */
const FOLDER = fileURLToPath(new URL('../fixtures/', import.meta.url));
const GGUF = fileURLToPath(new URL('../../checkpoint/fixtures/gguf-architectures/', import.meta.url));
const CASES = modelCases((file) => readFileSync(`${FOLDER}${file}`));
const json = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T;

/** What the tests below have shown, for the table of docs/families.md. */
const proofs: Proof[] = [];

const build = (checkpoint: Checkpoint, trainable = false): Promise<CausalLm> =>
  buildModel(checkpoint, { backend: createHostBackend(), quantization: { kind: 'none' }, trainable });

/** The model of a case; with `config`, as that file of its folder spells it. */
async function buildCase(
  name: string,
  { trainable = false, config = 'config.json' } = {},
): Promise<CausalLm> {
  using opened = await openCheckpoint(`${FOLDER}${name}`);
  return await build(
    Object.create(opened, { config: { value: readHfConfig(`${FOLDER}${name}/${config}`) } }) as typeof opened,
    trainable,
  );
}

const relativeDistance = (got: Float32Array, want: Float32Array): number =>
  Math.sqrt(
    want.reduce((sum, x, i) => sum + (x - got[i]) ** 2, 0) / (want.reduce((sum, x) => sum + x * x, 0) || 1),
  );

test('the golden files have the hashes of SHA256SUMS', () => {
  const sums = goldenSums(FOLDER);
  expect(sums.length).toBeGreaterThan(120);
  for (const { file, said, hash } of sums) expect(hash, file).toBe(said);
});

test('every family has a case', () => {
  expect(new Set(CASES.map(({ modelType }) => modelType))).toEqual(new Set(FAMILIES.keys()));
});

describe.each(CASES)(
  'transformers and ours agree on $name',
  ({ name, modelType, isPacked, tolerance, gradientNorms, tensors }) => {
    const expected = tensors();
    const { rows, ...tokens } = goldenTokens(expected);
    const isRenamed = name.endsWith('hub-names');
    const prove = (what: Proof['what']): void => {
      proofs.push({ modelType, name, what });
    };

    test('in every logit, and the config as transformers 4 spells it gives the same bits', async () => {
      const logits = logitsOf(await buildCase(name), tokens);
      expect(worstLogitError(logits, expected, rows)).toBeLessThanOrEqual(tolerance.logits);
      prove(isPacked ? '4 bits' : isRenamed ? 'hub names' : 'logits');
      if (!existsSync(`${FOLDER}${name}/config.legacy.json`)) return;
      expect(logitsOf(await buildCase(name, { config: 'config.legacy.json' }), tokens)).toEqual(logits);
      prove('older config');
    });

    if (!isPacked && !isRenamed)
      test(
        'in the loss and in every gradient, also nearly so in bf16, and layers that are run again in ' +
          'backward give the same bits',
        async () => {
          const model = await buildCase(name, { trainable: true });
          const { loss, gradients } = gradientsOf(model, tokens, { recompute: false });
          expect(Math.abs(loss - expected.get('loss_f64')!.f64()[0])).toBeLessThanOrEqual(tolerance.loss);
          const worst = worstGradientError(gradients, expected);
          expect(worst.error, worst.name).toBeLessThanOrEqual(tolerance.gradient);
          expect(gradientNorms.size).toBeGreaterThan(10);
          expect([...gradients.keys()].sort()).toEqual([...gradientNorms.keys()].sort());
          for (const [key, l2] of gradientNorms) {
            const norm = Math.sqrt(gradients.get(key)!.reduce((sum, x) => sum + x * x, 0));
            // only one number stands for the whole gradient here
            expect(Math.abs(norm - l2) / l2, key).toBeLessThanOrEqual(1e-4);
          }
          for (const recompute of [true, { every: 2 }, { first: 1 }])
            expect(gradientsOf(model, tokens, { recompute }), JSON.stringify(recompute)).toEqual({
              loss,
              gradients,
            });
          // In bf16, also between the products, the loss differs by 0.1 % and a gradient by 7 % at most here.
          // A lost gradient, or bits read as another type, would be off by all of it.
          const half = { computeDtype: 'bf16', activationDtype: 'bf16' } as const;
          const rounded = gradientsOf(model, tokens, { ...half, recompute: false });
          expect(Math.abs(rounded.loss - loss) / loss).toBeLessThanOrEqual(5e-3);
          for (const [key, exact] of gradients)
            expect(relativeDistance(rounded.gradients.get(key)!, exact), key).toBeLessThanOrEqual(0.15);
          expect(gradientsOf(model, tokens, { ...half, recompute: true })).toEqual(rounded);
          prove('gradients');
        },
      );

    if (!isRenamed)
      test('in twelve greedy tokens, with a key-value cache', async () => {
        const model = await buildCase(name);
        const got: number[] = [];
        for await (const id of generate({ model, active: null }, goldenNumbers(expected.get('prompt_ids')), {
          maxNewTokens: 12,
        }))
          got.push(id);
        expect(got).toEqual(goldenNumbers(expected.get('greedy_ids')));
        prove('generation');
      });
  },
);

describe("files of llama.cpp's own converter", () => {
  const { cases } = json<{ cases: { name: string; file: string; model_type: string }[] }>(
    `${GGUF}manifest.json`,
  );

  test.each(cases)(
    '$file computes what transformers computes with the original',
    async ({ name, file, model_type: modelType }) => {
      using gguf = await openCheckpoint(`${GGUF}${file}`);
      const { tolerance, tensors } = CASES.find((golden) => golden.name === name)!;
      const expected = tensors();
      const { rows, ...tokens } = goldenTokens(expected);
      const logits = logitsOf(await build(gguf), tokens);
      if (modelType === 'gemma2') {
        // the file doesn't have query_pre_attn_scalar; llama.cpp takes the head's size
        using original = await openCheckpoint(`${FOLDER}${name}`);
        const { raw } = original.config;
        const theirs = await build(
          Object.create(original, { config: { value: gguf.config } }) as typeof original,
        );
        const originalLogits = logitsOf(theirs, tokens);
        expect(raw.query_pre_attn_scalar).not.toBe(gguf.config.raw.query_pre_attn_scalar);
        expect(
          Array.from(logits).reduce((worst, x, i) => Math.max(worst, Math.abs(x - originalLogits[i])), 0),
        ).toBeLessThanOrEqual(tolerance.logits);
      } else expect(worstLogitError(logits, expected, rows)).toBeLessThanOrEqual(tolerance.logits);
      proofs.push({ modelType, name, what: 'GGUF' });
    },
  );
});

describe('what PEFT adapts', () => {
  const { families } = json<{
    families: Record<
      string,
      { case: string; default: string[] | null; all_linear: string[]; shapes: Record<string, string> }
    >;
  }>(`${FOLDER}families/peft-targets.json`);
  test('every family is listed', () =>
    expect(Object.keys(families).sort()).toEqual([...FAMILIES.keys()].sort()));

  test.each(Object.entries(families))(
    '%s: all-linear means the same layers, A and B have the same shapes, and the default targets are known',
    (modelType, { case: name, default: targets, all_linear: all, shapes }) => {
      const { linears } = describeModel(json(`${FOLDER}${name}/config.json`));
      const rank = 2;
      expect(linears.map((layer) => layer.name).sort()).toEqual([...all].sort());
      const adapterShapes = linears
        .filter((layer) => layer.name.includes('.0.'))
        .flatMap(({ name: layer, shape: [rows, columns] }) => [
          [`${layer}.lora_A.weight`, `${rank}x${columns}`],
          [`${layer}.lora_B.weight`, `${rows}x${rank}`],
        ]);
      expect(Object.fromEntries(adapterShapes)).toEqual(shapes);
      expect(FAMILIES.get(modelType)!.peftTargets).toEqual(targets);
      proofs.push({ modelType, name, what: 'PEFT' });
    },
  );
});

test(
  'docs/families.md is the table of what was shown above (to update it: npx vitest run ' +
    'src/families.golden.test.ts -u)',
  async () => {
    await expect(supportTable(proofs, CASES)).toMatchFileSnapshot('../docs/families.md');
  },
);
