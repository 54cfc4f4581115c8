import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSafetensors } from '../safetensors/open-safetensors.ts';
import { fixturePath } from '../test-support/fixture-path.ts';
import { sharedPath, temporaryFolder } from '@qdylora/testing/node';
import { openSavedWeights, readPeftAdapter } from './read.ts';
import { writePeftAdapter } from './write.ts';

interface AdapterCase {
  readonly name: string;
  readonly folder?: string;
  readonly base?: string;
  readonly r: number;
  readonly lora_alpha: number;
  readonly use_rslora: boolean;
  readonly changed?: readonly string[];
  readonly tensors: Record<string, unknown>;
}

const root = temporaryFolder();
const { cases } = JSON.parse(readFileSync(fixturePath('peft/manifest.json'), 'utf8')) as {
  cases: readonly AdapterCase[];
};
const names = readdirSync(fixturePath('peft/adapters'));
const plain = names.filter((name) => name !== 'modules-to-save');

describe('adapters saved by PEFT 0.21.2', () => {
  it.each(plain)("%s: modules, ranks and scales are PEFT's", (name) => {
    const { config, layers, sidecar } = readPeftAdapter(fixturePath(`peft/adapters/${name}`));
    const theirs = cases.find((c) => c.folder === `adapters/${name}`)!;
    expect([
      config.r,
      config.loraAlpha,
      config.useRslora,
      config.baseModel,
      config.peftVersion,
      config.unknownKeys,
      sidecar,
    ]).toEqual([theirs.r, theirs.lora_alpha, theirs.use_rslora, '../../base', '0.21.2', [], null]);
    if (theirs.changed)
      expect([...layers.keys()].map((module) => `${module}.weight`).sort()).toEqual(
        [...theirs.changed].sort(),
      );
    for (const { a, b, rank, inFeatures, outFeatures } of layers.values())
      expect([a.length, b.length]).toEqual([rank * inFeatures, rank * outFeatures]);
  });

  it('patterns: the first key that fits wins, whole name or dotted end', () => {
    const { layers } = readPeftAdapter(fixturePath('peft/adapters/patterns'));
    const of = (module: string) => [layers.get(module)!.rank, layers.get(module)!.scale];
    expect(of('model.layers.0.self_attn.q_proj')).toEqual([2, 16 / 2]);
    expect(of('model.layers.1.self_attn.q_proj')).toEqual([6, 5 / 6]);
    expect(of('model.layers.0.self_attn.v_proj')).toEqual([8, 32 / 8]);
    expect(of('model.layers.0.self_attn.k_proj')).toEqual([4, 16 / 4]);
    expect(of('model.layers.1.mlp.down_proj')).toEqual([3, 16 / 3]);
    expect(of('model.layers.0.mlp.down_proj')).toEqual([8, 2]);
  });

  it('rslora divides by the root of the rank, and a fractional alpha is read', () => {
    expect(readPeftAdapter(fixturePath('peft/adapters/rslora')).layers.values().next().value!.scale).toBe(
      16 / Math.sqrt(8),
    );
    expect(
      readPeftAdapter(fixturePath('peft/adapters/nested-b1-fractional-alpha')).layers.values().next().value!
        .scale,
    ).toBe(1.25);
  });

  it("modules_to_save are weights by the base's names, which are read when they are asked for", () => {
    const folder = fixturePath('peft/adapters/modules-to-save');
    const { config, saved, layers } = readPeftAdapter(folder);
    expect([config.modulesToSave, [...saved].sort(), layers.size]).toEqual([
      ['lm_head', 'embed_tokens'],
      [
        ['lm_head.weight', [128, 64]],
        ['model.embed_tokens.weight', [128, 64]],
      ],
      4,
    ]);
    using savedWeights = openSavedWeights(folder);
    expect(savedWeights.tensors.get('lm_head.weight')!.readFloat32().length).toBe(128 * 64);
  });

  it.each(names.filter((name) => name !== 'regex'))(
    '%s: written again by us, weights are the same bytes and the config says the same',
    async (name) => {
      const folder = fixturePath(`peft/adapters/${name}`);
      const out = join(root, name);
      const { config, layers } = readPeftAdapter(folder);
      const differing = <K extends 'rank'>(key: K, usual: number) =>
        Object.fromEntries(
          [...layers]
            .filter(([, layer]) => layer[key] !== usual)
            .map(([module, layer]) => [module, layer[key]]),
        );
      const alphas = Object.fromEntries(
        [...layers]
          .map(
            ([module, { scale, rank }]) =>
              [module, config.useRslora ? scale * Math.sqrt(rank) : scale * rank] as const,
          )
          .filter(([, alpha]) => Math.abs(alpha - config.loraAlpha) > 1e-9),
      );
      using savedWeights = openSavedWeights(folder);
      await writePeftAdapter(out, {
        modulesToSave: config.modulesToSave,
        saved: savedWeights.tensors,
        layers: [...layers].map(([module, { a, b }]) => ({ name: module, a, b })),
        rank: config.r,
        loraAlpha: config.loraAlpha,
        useRslora: config.useRslora,
        targetModules: config.targetModules as string[],
        baseModel: config.baseModel!,
        rankPattern: differing('rank', config.r),
        alphaPattern: alphas,
      });
      expect(
        readFileSync(join(out, 'adapter_model.safetensors')).equals(
          readFileSync(join(folder, 'adapter_model.safetensors')),
        ),
      ).toBe(true);
      const again = readPeftAdapter(out);
      for (const [module, layer] of layers) {
        expect(again.layers.get(module)).toMatchObject({
          rank: layer.rank,
          inFeatures: layer.inFeatures,
          outFeatures: layer.outFeatures,
        });
        expect(again.layers.get(module)!.scale).toBeCloseTo(layer.scale, 12);
      }
      const theirs = JSON.parse(readFileSync(join(folder, 'adapter_config.json'), 'utf8')) as Record<
        string,
        unknown
      >;
      const ours = JSON.parse(readFileSync(join(out, 'adapter_config.json'), 'utf8')) as Record<
        string,
        unknown
      >;
      for (const key of Object.keys(ours)) {
        expect(Object.keys(theirs), key).toContain(key);
        if (key === 'modules_to_save')
          expect(ours[key] ?? [], key).toEqual([...((theirs[key] as string[]) ?? [])].sort());
        else if (!key.endsWith('_pattern')) expect(ours[key], key).toEqual(theirs[key]);
      }
    },
  );

  const merged = sharedPath('fixtures/peft/adapters.safetensors');
  const base = sharedPath('fixtures/peft/base/model.safetensors');
  it('scale · B · A added to the base is what PEFT merges', ({ skip }) => {
    skip(merged === null || base === null, 'shared/fixtures is not beside the checkout');
    const theirs = openSafetensors(merged!);
    const weights = openSafetensors(base!);
    let compared = 0;
    for (const name of plain) {
      for (const [module, { a, b, rank, inFeatures, outFeatures, scale }] of readPeftAdapter(
        fixturePath(`peft/adapters/${name}`),
      ).layers) {
        const expected = theirs.tensors.get(`${name}/merged:${module}.weight`)?.readFloat32();
        const baseValues = weights.tensors.get(`${module}.weight`)!.readFloat32();
        if (!expected) continue;
        let worst = -Infinity; // how far beyond the manifest's tolerance
        for (let o = 0; o < outFeatures; o++) {
          for (let i = 0; i < inFeatures; i++) {
            let sum = 0;
            let size = 0;
            for (let k = 0; k < rank; k++) {
              const product = b[o * rank + k] * a[k * inFeatures + i];
              sum += product;
              size += Math.abs(product);
            }
            const at = o * inFeatures + i;
            const bound = (rank + 2) * 2 ** -24 * (Math.abs(baseValues[at]) + scale * size);
            worst = Math.max(worst, Math.abs(baseValues[at] + scale * sum - expected[at]) - bound);
          }
        }
        expect(worst, `${name} ${module}`).toBeLessThanOrEqual(0);
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(20);
    theirs.dispose();
    weights.dispose();
  });
});
