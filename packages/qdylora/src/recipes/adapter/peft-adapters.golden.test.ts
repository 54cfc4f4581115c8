import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readPeftAdapter } from '@qdylora/checkpoint';
import { hostData, createHostBackend } from '@qdylora/contract';
import { collate, type TokenBatch } from '@qdylora/data';
import { scaleAt, type Adapted } from '@qdylora/lora-dynamic';
import { oneSequence, type CausalLm } from '@qdylora/models';
import { backward, inferenceContext, Tape, type ForwardContext } from '@qdylora/tensor';
import { goldenCases, type GoldenCase } from '@qdylora/testing';
import { sharedPath } from '@qdylora/testing/node';
import { describe, expect, test } from 'vitest';
import { attachAdapter } from './attach-adapter.ts';
import { openSource } from '../opening/open-source.ts';
import { readAdapter } from './read-adapter.ts';

/** What PEFT 0.21.2 computes with adapters that it saved, over a tiny Llama in f32 and in NF4. */
const shared = sharedPath('fixtures/peft');
const cases = shared ? goldenCases((file) => readFileSync(join(shared, file))) : [];
const goldenCase = (name: string): GoldenCase => cases.find((c) => c.name === name)!;

const integers = (c: GoldenCase, role: string): number[] => Array.from(c.tensor(role).i64(), Number);
/** The largest absolute value, or the largest distance from `other`. */
const largest = (values: Float32Array, other: (i: number) => number = () => 0): number =>
  values.reduce((most, value, i) => Math.max(most, Math.abs(value - other(i))), 0);

/** The model with a case's adapter, and the context of a pass at the adapter's rank. */
async function attached({
  facts,
}: GoldenCase): Promise<{ adapted: Adapted<CausalLm>; ctx: ForwardContext; scale: number }> {
  const adapter = readAdapter(join(shared!, facts.folder as string));
  const { state } = adapter;
  const source = await openSource(
    {
      model: join(shared!, facts.base as string),
      init: null,
      adapter: null,
      method: 'qdylora',
      quantization: 'none',
      doubleQuantization: true,
      quantizationLevels: [4],
      quantizationBlockSize: 64,
      seed: 0,
    },
    { saved: adapter.saved },
  );
  const model = await source.build(createHostBackend());
  const adapted = await attachAdapter(model, adapter, {
    fingerprint: '',
    quantizedFrom: null,
    warn: (text) => {
      throw new Error(text);
    },
  });
  return {
    adapted,
    ctx: { ...inferenceContext(model.backend), active: adapted.atRank(state.maxRank).active },
    scale: scaleAt(state.scaling, state.alpha, state.maxRank, state.maxRank),
  };
}

/** The rows of the gradients' batch without their padding, as one packed batch. */
function packedBatch(): TokenBatch {
  const golden = goldenCase('batch');
  const [rows, width] = golden.tensor('ids').shape as [number, number];
  const [ids, mask, labels] = ['ids', 'mask', 'labels'].map((role) => integers(golden, role)) as [
    number[],
    number[],
    number[],
  ];
  return collate(
    Array.from({ length: rows }, (_, row) => {
      const here = Array.from({ length: width }, (__, t) => row * width + t).filter((at) => mask[at] === 1);
      return {
        ids: Int32Array.from(here, (at) => ids[at]),
        labels: Int32Array.from(here, (at) => labels[at]),
      };
    }),
  );
}

if (!shared)
  test("logits and gradients are PEFT's", ({ skip }) => {
    skip('shared/fixtures is not beside the checkout');
  });
else
  describe("PEFT's numbers", () => {
    test.each(
      cases
        .filter(({ facts }) => facts.tolerance.logits && facts.folder?.startsWith('adapters/'))
        .map((c) => [c.name, c] as const),
    )('logits: %s', async (_, golden) => {
      const { adapted, ctx } = await attached(golden);
      const want = golden.tensor('logits').f32();
      const ids = integers(goldenCase('inputs'), 'ids');
      const [rows, tokens] = goldenCase('inputs').tensor('ids').shape as [number, number];
      const got = Array.from({ length: rows }, (__, row) => [
        ...hostData(adapted.model.logits(ctx, oneSequence(ids.slice(row * tokens, (row + 1) * tokens))).view),
      ]).flat();
      expect(got.length).toBe(want.length);
      // the manifest's tolerance
      expect(largest(want, (i) => got[i])).toBeLessThanOrEqual(2.8e-5 * largest(want));
    });

    test.each(cases.filter(({ facts }) => facts.tolerance.gradient).map((c) => [c.name, c] as const))(
      'loss and gradients: %s',
      async (_, golden) => {
        const { adapted, ctx, scale: ownScale } = await attached(golden);
        const { backend } = ctx;
        const tape = new Tape(backend);
        const parameters = adapted.parameters();
        for (const parameter of parameters) {
          parameter.makeTrainable(backend.memory);
          hostData(parameter.gradient!).fill(0);
        }
        const { loss } = adapted.model.loss({ ...ctx, tape }, packedBatch(), {
          lossScale: 1 / (golden.facts.counted_labels as number),
        });
        expect(Math.abs(hostData(loss.view)[0] / golden.tensor('loss').f32()[0] - 1)).toBeLessThanOrEqual(
          3.9e-5,
        );
        backward(tape, loss);
        const layers = readPeftAdapter(join(shared!, golden.facts.folder as string)).layers;
        const { maxRank } = adapted.ranks;
        const roles = golden.roles.filter((role) => role.startsWith('gradient:'));
        expect(roles.length).toBe(2 * layers.size);
        for (const role of roles) {
          const [, name, side] = /base_model\.model\.(.+)\.(lora_[AB])\.weight$/.exec(role)!;
          const { rank, scale, outFeatures } = layers.get(name!)!;
          const want = golden.tensor(role).f32();
          const gradient = hostData(parameters.find((p) => p.name === `${name}.${side}`)!.gradient!);
          // theirs is B: [out, rank] before its layer's scale, ours [rank, out] before the scale of all;
          // rows past a narrow layer's own rank are filling
          const got =
            side === 'lora_A'
              ? (i: number) => gradient[i]
              : (i: number) => (scale / ownScale) * gradient[(i % rank) * outFeatures + Math.floor(i / rank)];
          expect(rank).toBeLessThanOrEqual(maxRank);
          expect(largest(want, got) / largest(want), role).toBeLessThanOrEqual(3.9e-5);
        }
      },
    );
  });
