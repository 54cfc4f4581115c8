import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend, hostData } from '@qdylora/contract';
import { buildModel, FAMILIES, oneSequence } from '@qdylora/models';
import { inferenceContext } from '@qdylora/tensor';
import { goldenNumbers, readSafetensors } from '@qdylora/testing';
import { goldenSums } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { asStored, mergedWeights } from './adapted-weights.ts';
import { attachAdapter } from './attach-adapter.ts';
import { readAdapter } from './read-adapter.ts';

/**
 * An adapter on all linear layers of every family, as PEFT 0.21.2 saved it, and what PEFT computes and merges
 * with it in float64 (maker in packages/testing/makers).
 */
const FOLDER = fileURLToPath(new URL('../../../fixtures/family-adapters/', import.meta.url));
const MODELS = fileURLToPath(new URL('../../../../models/fixtures/', import.meta.url));
const { rank, families } = JSON.parse(readFileSync(`${FOLDER}manifest.json`, 'utf8')) as {
  rank: number;
  families: Record<string, { case: string; changed: string[] }>;
};

/**
 * The manifest's tolerances of logits without an adapter are 2e-5 to 1e-4; here adapters add a third more to
 * each layer.
 */
const LOGITS = 2e-4;

test('the golden files have the hashes of SHA256SUMS', () => {
  for (const { file, said, hash } of goldenSums(FOLDER)) expect(hash, file).toBe(said);
});

test('every family has an adapter', () =>
  expect(Object.keys(families).sort()).toEqual([...FAMILIES.keys()].sort()));

describe.each(Object.entries(families))('%s', (family, { case: name, changed }) => {
  const expected = readSafetensors(readFileSync(`${FOLDER}${name}/expected.safetensors`));

  test("logits with the adapter, and merged weights in their names and orientation, are PEFT's", async () => {
    using checkpoint = await openCheckpoint(`${MODELS}${name}`);
    const backend = createHostBackend();
    const model = await buildModel(checkpoint, { backend, quantization: { kind: 'none' } });
    const read = readAdapter(`${FOLDER}${name}`);
    expect(read.fanInFanOut).toBe(family === 'gpt2');
    const adapted = await attachAdapter(model, read, {
      fingerprint: '',
      quantizedFrom: null,
      warn: (text) => {
        throw new Error(text);
      },
    });
    const { active } = adapted.atRank(rank);
    const got = hostData(
      adapted.model.logits(
        { ...inferenceContext(backend), active },
        oneSequence(goldenNumbers(expected.get('ids'))),
      ).view,
    );
    const want = expected.get('logits_f64')!.f64();
    expect(got.length).toBe(want.length);
    expect(
      want.reduce((worst, value, i) => Math.max(worst, Math.abs(value - got[i])), 0),
    ).toBeLessThanOrEqual(LOGITS);

    expect(adapted.layers.map((layer) => `${layer.name}.weight`).sort()).toEqual(changed);
    const merged = new Map(
      asStored(mergedWeights(model, adapted, rank), model).map((weight) => [weight.name, weight]),
    );
    const listed = [...expected.keys()].filter((key) => key.startsWith('merged.'));
    expect(listed.length).toBe(changed.length / 2); // layer 0 of two
    for (const key of listed) {
      const weight = merged.get(key.slice('merged.'.length))!;
      const theirs = expected.get(key)!;
      const values = await weight.values();
      expect(weight.shape, key).toEqual(theirs.shape);
      // Both round one float64 sum; theirs also rounds the product B·A before it is scaled.
      theirs.f32().forEach((value, i) => {
        if (!(Math.abs(values[i] - value) <= 2 ** -23 * Math.max(1, Math.abs(value))))
          expect(values[i], `${key} ${i}`).toBe(value);
      });
    }
  });
});
