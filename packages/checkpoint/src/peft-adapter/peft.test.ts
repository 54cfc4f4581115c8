import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { validateFolder } from '../folder/manifest.ts';
import { tensorOf } from '../safetensors/tensor-of.ts';
import { writeSafetensors } from '../safetensors/write-file.ts';
import { errorOf, rejectionOf } from '../test-support/error-of.ts';
import { fixturePath } from '../test-support/fixture-path.ts';
import { temporaryFolder } from '@qdylora/testing/node';
import { isPeftAdapter, readPeftAdapter } from './read.ts';
import { writePeftAdapter, type WritePeftAdapterOptions } from './write.ts';

const root = temporaryFolder();
let folders = 0;
const fresh = (): string => join(root, `adapter${folders++}`);

const Q = 'model.layers.0.self_attn.q_proj';
const V = 'model.layers.0.self_attn.v_proj';
const options = (more: Partial<WritePeftAdapterOptions> = {}): WritePeftAdapterOptions => ({
  layers: [
    { name: V, a: Float32Array.of(1, 2, 3, 4, 5, 6), b: Float32Array.of(1, 2, 3, 4) },
    { name: Q, a: Float32Array.of(6, 5, 4, 3, 2, 1), b: Float32Array.of(0, 0, 0, 0) },
  ],
  rank: 2,
  loraAlpha: 8,
  targetModules: ['v_proj', 'q_proj'],
  ...more,
});

/** An adapter of PEFT with some fields of its config changed. */
function withConfig(changes: Record<string, unknown>): string {
  const folder = fresh();
  const path = join(folder, 'adapter_config.json');
  cpSync(fixturePath('peft/adapters/qv'), folder, { recursive: true });
  writeFileSync(path, JSON.stringify({ ...(JSON.parse(readFileSync(path, 'utf8')) as object), ...changes }));
  return folder;
}

describe('writePeftAdapter', () => {
  it('writes what readPeftAdapter reads', async () => {
    const folder = fresh();
    await writePeftAdapter(
      folder,
      options({
        useRslora: true,
        loraDropout: 0.25,
        baseModel: 'org/base',
        sidecar: { ranks: [1, 2], a: { z: 1, b: 2 } },
      }),
    );
    const { config, layers, sidecar } = readPeftAdapter(folder);
    expect(config).toMatchObject({
      r: 2,
      loraAlpha: 8,
      useRslora: true,
      loraDropout: 0.25,
      targetModules: ['q_proj', 'v_proj'],
      baseModel: 'org/base',
      taskType: 'CAUSAL_LM',
    });
    expect(layers.get(V)).toEqual({
      a: Float32Array.of(1, 2, 3, 4, 5, 6),
      b: Float32Array.of(1, 2, 3, 4),
      rank: 2,
      inFeatures: 3,
      outFeatures: 2,
      scale: 8 / Math.SQRT2,
    });
    expect(sidecar).toEqual({ ranks: [1, 2], a: { z: 1, b: 2 } });
    expect(isPeftAdapter(folder) && !isPeftAdapter(root)).toBe(true);
  });

  it('takes a slice as it is: its scale is checked, and its layers are the targets', async () => {
    const folder = fresh();
    const { layers } = options();
    const slice = {
      rank: 2,
      scale: 4 / Math.SQRT2,
      loraAlpha: 4,
      useRslora: true,
      layers: [...layers].map((layer) => ({ ...layer, inFeatures: 3, outFeatures: 2 })),
    };
    await writePeftAdapter(folder, { ...slice });
    const { config, layers: read } = readPeftAdapter(folder);
    expect([config.targetModules, read.get(Q)!.scale]).toEqual([[Q, V], slice.scale]);
    await rejectionOf(writePeftAdapter(fresh(), { ...slice, useRslora: false }), 'BAD_ARGUMENT');
  });

  it('round trips any ranks, alphas and shapes', async () => {
    const layer = fc.record({
      rank: fc.integer({ min: 1, max: 4 }),
      rows: fc.integer({ min: 1, max: 5 }),
      columns: fc.integer({ min: 1, max: 5 }),
      alpha: fc.integer({ min: 1, max: 64 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), async (shapes) => {
        const folder = fresh();
        const name = (i: number): string => `model.layers.${i}.mlp.up_proj`;
        await writePeftAdapter(folder, {
          layers: shapes.map(({ rank, rows, columns }, i) => ({
            name: name(i),
            a: Float32Array.from({ length: rank * columns }, (_, k) => k - i),
            b: Float32Array.from({ length: rows * rank }, (_, k) => k * i),
          })),
          rank: 3,
          loraAlpha: 5,
          targetModules: ['up_proj'],
          rankPattern: Object.fromEntries(shapes.map(({ rank }, i) => [name(i), rank])),
          alphaPattern: Object.fromEntries(shapes.map(({ alpha }, i) => [name(i), alpha])),
        });
        const { layers } = readPeftAdapter(folder);
        shapes.forEach(({ rank, rows, columns, alpha }, i) =>
          expect(layers.get(name(i))).toMatchObject({
            rank,
            outFeatures: rows,
            inFeatures: columns,
            scale: alpha / rank,
          }),
        );
      }),
      { numRuns: 20 },
    );
  });

  it(
    'gives the same bytes for the same adapter in any order, with a valid manifest and no trace of the ' +
      'machine',
    async () => {
      const one = fresh();
      const two = fresh();
      const { layers } = options();
      await writePeftAdapter(one, options({ sidecar: { a: 1, b: 2 } }));
      await writePeftAdapter(
        two,
        options({
          sidecar: { b: 2, a: 1 },
          layers: [...layers].reverse(),
          targetModules: ['q_proj', 'v_proj', 'q_proj'],
        }),
      );
      const names = readdirSync(one).sort();
      expect(names).toEqual([
        'adapter_config.json',
        'adapter_model.safetensors',
        'manifest.json',
        'qdylora.json',
      ]);
      for (const name of names) {
        const bytes = readFileSync(join(one, name));
        expect(readFileSync(join(two, name)).equals(bytes), name).toBe(true);
        expect(bytes.includes(root)).toBe(false);
      }
      expect(validateFolder(one).isValid).toBe(true);
      expect(readFileSync(join(one, 'adapter_config.json'), 'utf8')).toMatch(
        /^\{\n {2}"alpha_pattern": \{\},\n {2}"base_model_name_or_path": null,\n/,
      );
    },
  );

  it('pins patterns to full names, so that no two keys fit one module', async () => {
    const folder = fresh();
    await writePeftAdapter(
      folder,
      options({
        layers: [
          { name: Q, a: new Float32Array(3), b: new Float32Array(2) },
          { name: V, a: new Float32Array(6), b: new Float32Array(4) },
        ],
        rankPattern: { [Q]: 1 },
        alphaPattern: { [V]: 3 },
      }),
    );
    expect(readPeftAdapter(folder).config.raw).toMatchObject({
      rank_pattern: { [`^${Q}`]: 1 },
      alpha_pattern: { [`^${V}`]: 3 },
    });
  });

  it('refuses what does not fit together, and folders that are taken', async () => {
    const wrong: Partial<WritePeftAdapterOptions>[] = [
      { rank: 0 },
      { rank: 1.5 },
      { rank: 4 },
      { loraAlpha: NaN },
      { loraDropout: 1.5 },
      { layers: [] },
      { layers: [...options().layers, ...options().layers] },
      { targetModules: ['q_proj'] },
      { targetModules: ['proj'] },
      { rankPattern: { q_proj: 2 } },
      { rankPattern: { [Q]: 0 } },
      { alphaPattern: { [Q]: Infinity } },
    ];
    for (const more of wrong) await rejectionOf(writePeftAdapter(fresh(), options(more)), 'BAD_ARGUMENT');
    const folder = fresh();
    await writePeftAdapter(folder, options());
    await rejectionOf(writePeftAdapter(folder, options()), 'NOT_EMPTY');
    await writePeftAdapter(folder, options({ loraAlpha: 9, replace: true }));
    expect(readPeftAdapter(folder).config.loraAlpha).toBe(9);
  });
});

describe('readPeftAdapter', () => {
  it.each([
    ['use_dora', true],
    ['lora_bias', true],
    ['layer_replication', [[0, 1]]],
    ['target_parameters', ['x']],
    ['trainable_token_indices', [1]],
    ['alora_invocation_tokens', [1]],
    ['velora_config', { a: 1 }],
    ['kasa_config', { a: 1 }],
    ['monteclora_config', { a: 1 }],
    ['arrow_config', { a: 1 }],
    ['use_bdlora', { a: 1 }],
    ['use_qalora', true],
    ['bias', 'all'],
    ['peft_type', 'LOHA'],
    ['init_lora_weights', 'pissa_niter_4'],
    ['init_lora_weights', 'olora'],
    ['init_lora_weights', 'LoftQ'],
  ])('%s %j is refused by name', (key, value) => {
    expect(errorOf(() => readPeftAdapter(withConfig({ [key]: value })), 'UNSUPPORTED').message).toContain(
      `got ${key}`,
    );
  });

  it('what is off, and what only matters in training, is read', () => {
    const { config } = readPeftAdapter(
      withConfig({
        modules_to_save: [],
        use_dora: false,
        velora_config: {},
        init_lora_weights: 'gaussian',
        from_the_future: 1,
        lora_dropout: 0.1,
      }),
    );
    expect([config.unknownKeys, config.loraDropout]).toEqual([['from_the_future'], 0.1]);
  });

  it('weights that the config does not fit are BAD_ADAPTER; wrong kinds are BAD_CONFIG', () => {
    expect(errorOf(() => readPeftAdapter(withConfig({ r: 4 })), 'BAD_ADAPTER').message).toMatch(
      /"model\.layers\.0\..*_proj" must have A \[4, in\] and B \[out, 4\] \(got \[8, 64\] and \[\d+, 8\]/,
    );
    errorOf(() => readPeftAdapter(withConfig({ rank_pattern: { q_proj: 3 } })), 'BAD_ADAPTER');
    for (const changes of [
      { r: '8' },
      { r: 0 },
      { r: -1 },
      { lora_alpha: null, r: 1.5 },
      { rank_pattern: [] },
      { alpha_pattern: { q: 'x' } },
      { target_modules: [1] },
      { use_rslora: 'yes' },
      { lora_dropout: 2 },
      { lora_dropout: -0.1 },
    ])
      errorOf(() => readPeftAdapter(withConfig(changes)), 'BAD_CONFIG');
  });

  it("an absent r and alpha are PEFT's defaults", () => {
    const folder = withConfig({});
    const path = join(folder, 'adapter_config.json');
    writeFileSync(path, '{"peft_type":"LORA","target_modules":["q_proj","v_proj"]}');
    expect(readPeftAdapter(folder).config).toMatchObject({ r: 8, loraAlpha: 8, useRslora: false });
  });

  it('tensors of other kinds are refused by name, and half pairs are BAD_ADAPTER', () => {
    const folder = withConfig({ r: 1, target_modules: ['x', 'y'] });
    const key = (end: string): string => `base_model.model.x.${end}`;
    const a = tensorOf(key('lora_A.weight'), [1, 2], new Float32Array(2));
    const b = tensorOf(key('lora_B.weight'), [2, 1], new Float32Array(2));
    const readWith = (name: string, shape = [1]) => {
      writeSafetensors(join(folder, 'adapter_model.safetensors'), [
        a,
        b,
        tensorOf(name, shape, new Float32Array(shape.reduce((x, y) => x * y))),
      ]);
      return readPeftAdapter(folder);
    };
    for (const [name, feature] of [
      ['lora_magnitude_vector', /DoRA/],
      ['lora_embedding_A', /embedding/],
      ['base_layer.weight', /the base's weight of x, which PEFT writes beside an adapter of a head or embed/],
      ['lora_B.bias', /lora_bias/],
      ['lora_C.weight', /neither LoRA matrices nor/],
      ['running_mean', /neither LoRA matrices nor/],
    ] as const) {
      expect(errorOf(() => readWith(key(name)), 'UNSUPPORTED').message).toMatch(feature);
    }
    errorOf(() => readWith('model.x.lora_A.weight'), 'UNSUPPORTED');
    errorOf(() => readWith('base_model.model.y.lora_A.weight', [1, 2]), 'BAD_ADAPTER');
    errorOf(() => readWith(key('lora_A.default.weight'), [1, 2]), 'BAD_ADAPTER'); // twice
    writeSafetensors(join(folder, 'adapter_model.safetensors'), [
      tensorOf(key('lora_A.weight'), [1, 2, 3, 3], new Float32Array(18)),
      tensorOf(key('lora_B.weight'), [2, 1, 1, 1], new Float32Array(2)),
    ]);
    errorOf(() => readPeftAdapter(folder), 'UNSUPPORTED');
  });

  it(
    'whole weights are those of modules_to_save, also under the names of state dicts saved by hand; other ' +
      'tensors of their modules have no effect, and are BAD_ADAPTER without them',
    () => {
      const folder = withConfig({ r: 1, target_modules: ['x'], modules_to_save: ['lm_head', 'norm'] });
      const lora = (end: string, shape: number[]) =>
        tensorOf(`base_model.model.x.${end}`, shape, new Float32Array(2));
      const write = (...names: string[]) =>
        writeSafetensors(join(folder, 'adapter_model.safetensors'), [
          lora('lora_A.weight', [1, 2]),
          lora('lora_B.weight', [2, 1]),
          ...names.map((name) => tensorOf(`base_model.model.${name}`, [3], new Float32Array(3))),
        ]);
      write('lm_head.modules_to_save.default.weight', 'model.norm.weight');
      expect([...readPeftAdapter(folder).saved.keys()].sort()).toEqual([
        'lm_head.weight',
        'model.norm.weight',
      ]);
      for (const name of ['lm_head.modules_to_save.weight', 'lm_head.original_module.weight']) {
        write(name, 'lm_head.weight');
        expect([...readPeftAdapter(folder).saved.keys()]).toEqual(['lm_head.weight']);
        write(name, 'model.norm.weight');
        expect(errorOf(() => readPeftAdapter(folder), 'BAD_ADAPTER').message).toContain(
          `"${name}" is in the file, but "lm_head.weight", which PEFT loads, is not`,
        );
      }
      write('lm_head.weight', 'lm_head.modules_to_save.default.weight', 'model.norm.weight');
      errorOf(() => readPeftAdapter(folder), 'BAD_ADAPTER');
      errorOf(() => readPeftAdapter(withConfig({ modules_to_save: 'lm_head' })), 'BAD_CONFIG');
    },
  );

  it('a layer that the config excludes, so that PEFT ignores it, is BAD_ADAPTER', () => {
    const { message } = errorOf(() => readPeftAdapter(withConfig({ exclude_modules: [V] })), 'BAD_ADAPTER');
    expect(message).toContain(
      `adapter_config.json: exclude_modules excludes "${V}", which is in adapter_model`,
    );
  });

  it('missing files say what to do', () => {
    const folder = fresh();
    mkdirSync(folder);
    errorOf(() => readPeftAdapter(folder), 'MISSING_FILE');
    writeFileSync(join(folder, 'adapter_config.json'), '{"peft_type":"LORA"}');
    errorOf(() => readPeftAdapter(folder), 'MISSING_FILE');
    writeFileSync(join(folder, 'adapter_model.bin'), '');
    expect(errorOf(() => readPeftAdapter(folder), 'MISSING_FILE').message).toMatch(/can run code/);
  });
});
