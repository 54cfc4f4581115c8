import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@qdylora/checkpoint';
import { createHostBackend, hostData, f32View } from '@qdylora/contract';
import { modelCases } from '@qdylora/testing';
import { decodedWeight, inferenceContext, isPacked, Linear, modulesOf, Parameter } from '@qdylora/tensor';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildModel, describeModel, initializeModel, oneSequence } from './index.ts';

const FOLDER = fileURLToPath(new URL('../fixtures/', import.meta.url));
/** One of every kind of layer that a family has. */
const CASES = modelCases((file) => readFileSync(`${FOLDER}${file}`)).filter(
  ({ name, isPacked: is }) => !is && !name.endsWith('hub-names'),
);
const configOf = (name: string): Record<string, unknown> =>
  JSON.parse(readFileSync(`${FOLDER}${name}/config.json`, 'utf8')) as Record<string, unknown>;

/** Weights of this spread make logits of order one, so that a wrong key shows. */
const SPREAD = 0.2;

describe.each(CASES)('$name', ({ name }) => {
  test('a sequence in pieces through a key-value cache ends in the same bits as in one pass', () => {
    const backend = createHostBackend();
    const model = initializeModel({ ...configOf(name), initializer_range: SPREAD }, { backend });
    const ctx = inferenceContext(backend);
    const { vocabularySize, hiddenSize } = model.config;
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: vocabularySize - 1 }), { minLength: 2, maxLength: 14 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 5 })),
        (ids, lengths) => {
          const whole = hostData(model.hidden(ctx, oneSequence(ids)).view);
          const pieces: number[] = [];
          using cache = model.createCache(ids.length);
          while (cache.length < ids.length) {
            const { length } = cache;
            const piece = ids.slice(length, length + (lengths.next().value as number));
            pieces.push(...hostData(model.hidden(ctx, oneSequence(piece, length), cache).view));
          }
          expect(pieces.length).toBe(ids.length * hiddenSize);
          expect(Float32Array.from(pieces)).toEqual(Float32Array.from(whole));
        },
      ),
      { numRuns: 6 },
    );
  });

  test(
    'in NF4, every linear layer is packed, and the model computes with exactly the numbers that it ' +
      'decodes to',
    async () => {
      using checkpoint = await openCheckpoint(`${FOLDER}${name}`);
      const backend = createHostBackend();
      const packed = await buildModel(checkpoint, { backend });
      const ctx = inferenceContext(backend);
      const inputs = oneSequence([3, 1, 4, 1, 5, 9, 2, 6]);
      const layers = modulesOf(packed.modules).filter((layer): layer is Linear => layer instanceof Linear);
      expect(layers.filter(({ weight }) => isPacked(weight)).map((layer) => layer.name)).toEqual(
        describeModel(configOf(name)).linears.map((layer) => layer.name),
      );
      const weights = new Map<string, Float32Array>();
      for (const layer of layers) weights.set(layer.name, await decodedWeight(layer.weight, backend));
      const decoded = packed.withModules(({ name: layerName, outFeatures, inFeatures, bias }) => {
        const view = f32View([outFeatures, inFeatures], weights.get(layerName)!);
        return new Linear(layerName, new Parameter(`${layerName}.weight`, view), bias);
      });
      expect(hostData(packed.logits(ctx, inputs).view)).toEqual(hostData(decoded.logits(ctx, inputs).view));
    },
  );
});
