import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePeftAdapter, type WritePeftAdapterOptions } from '@qdylora/checkpoint';
import { beforeAll, expect, it } from 'vitest';
import { run, tinyRun } from '../../../test/tiny-run.ts';
import { evaluate, exportAdapter } from '../../index.ts';
import { readAdapter, rescaledNotice } from './read-adapter.ts';
import { valuesOfYaml } from '../../config/explicit-values.ts';
import { resolveShape } from '../run/prepare-run.ts';

const { folder, common, judged } = tinyRun();
const adapter = join(folder.in('run'), 'adapter');

beforeAll(async () => {
  await run({ ...common, maxSteps: 1, outputDir: folder.in('run') });
});

it('an adapter whose weights were changed is refused, whatever else of its folder was', () => {
  const damaged = folder.in('damaged');
  cpSync(adapter, damaged, { recursive: true });
  const path = join(damaged, 'adapter_model.safetensors');
  const config = join(damaged, 'adapter_config.json');
  writeFileSync(config, `${readFileSync(config, 'utf8')}\n`);
  expect(readAdapter(damaged).state).toEqual(readAdapter(adapter).state);
  const weights = readFileSync(path);
  weights[weights.length - 1] ^= 1;
  writeFileSync(path, weights);
  expect(() => readAdapter(damaged)).toThrow(
    /has SHA-256 .*If you changed it yourself, delete manifest\.json and qdylora\.json/,
  );
  rmSync(join(damaged, 'manifest.json'));
  expect(readAdapter(damaged).state.maxRank).toBe(4);
});

it('an adapter is refused whose qdylora.json was changed, or whose manifest cannot be read', () => {
  const changed = folder.in('changed');
  cpSync(adapter, changed, { recursive: true });
  const path = join(changed, 'qdylora.json');
  const text = readFileSync(path, 'utf8');
  const sidecar = JSON.parse(text) as { readonly ranks: readonly number[] };
  writeFileSync(path, JSON.stringify({ ...sidecar, ranks: [1, 3, 4] }));
  expect(() => readAdapter(changed)).toThrow(
    /qdylora\.json.* has SHA-256 .*If you changed it yourself, delete manifest\.json\.$/,
  );
  writeFileSync(path, text);
  const manifestPath = join(changed, 'manifest.json');
  const manifest = readFileSync(manifestPath, 'utf8');
  for (const damaged of ['', manifest.slice(0, -5), manifest.replace('qdylora-folder', 'qdylora-fnlder')]) {
    writeFileSync(manifestPath, damaged);
    expect(() => readAdapter(changed)).toThrow(
      /The manifest of the adapter is damaged or was written by another program, so its files cannot/,
    );
  }
  rmSync(path); // an adapter of PEFT, with a manifest.json of another program
  expect(readAdapter(changed).state.ranks).toEqual([4]);
  writeFileSync(path, text);
  rmSync(manifestPath);
  expect(readAdapter(changed).state.ranks).toEqual([1, 2, 4]);
});

it('a scale in adapter_config.json that is not that of qdylora.json is refused', () => {
  const edited = folder.in('edited');
  cpSync(adapter, edited, { recursive: true });
  const path = join(edited, 'adapter_config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as { lora_alpha: number };
  for (const changes of [
    { lora_alpha: 2 * config.lora_alpha },
    { use_rslora: true },
    { alpha_pattern: { v_proj: 1 } },
  ]) {
    writeFileSync(path, JSON.stringify({ ...config, ...changes }));
    expect(() => readAdapter(edited)).toThrow(
      /The scale of .*_proj at rank 4 is .* in adapter_config\.json, but .*delete qdylora\.json/,
    );
  }
  rmSync(join(edited, 'qdylora.json'));
  expect(readAdapter(edited).state.ranks).toEqual([4]);
});

it('a rank that was exported between trained ones does not count as trained afterwards', async () => {
  const notices: string[] = [];
  const onNotice = (text: string): void => void notices.push(text);
  const untrained = (out: string): readonly number[] => readAdapter(folder.in(out)).untrainedRanks;
  await exportAdapter({ adapter, rank: 3, outputDir: folder.in('r3') });
  await exportAdapter({ adapter: folder.in('r3'), rank: 3, outputDir: folder.in('r3-again'), onNotice });
  await exportAdapter({ adapter: folder.in('r3'), rank: 2, outputDir: folder.in('r2') });
  await evaluate({ ...judged, adapter: folder.in('r3'), onNotice });
  const told = notices.filter((text) => text.startsWith('Rank 3 was not trained: the trained ranks of this'));
  expect([told.length, untrained('r3'), untrained('r3-again'), untrained('r2')]).toEqual([2, [3], [3], []]);

  const { ranks: _, ...options } = common;
  const events = await run({
    ...options,
    adapter: folder.in('r3'),
    maxSteps: 1,
    outputDir: folder.in('further'),
  });
  expect(events).toContainEqual({
    type: 'notice',
    message: expect.stringMatching(/^Rank 3 of .* was exported between trained ranks/) as string,
  });
  expect(readAdapter(join(folder.in('further'), 'adapter'))).toMatchObject({
    state: { ranks: [1, 2, 3] },
    untrainedRanks: [],
  });
});

/** Reads a PEFT adapter with r 2 and lora_alpha 16, whose a and b are ones; `narrow` have one row. */
async function readWith(changes: Partial<WritePeftAdapterOptions>, narrow: string[] = []) {
  const ones = (length: number): Float32Array => new Float32Array(length).fill(1);
  const layers = ['q_proj', 'k_proj', 'v_proj'].map((name) => {
    const rank = narrow.includes(name) ? 1 : 2;
    return { name, a: ones(3 * rank), b: ones(4 * rank) };
  });
  const target = folder.in('of PEFT');
  await writePeftAdapter(target, { layers, rank: 2, loraAlpha: 16, replace: true, ...changes });
  return readAdapter(target);
}

it.each([
  ['no pattern', {}, [], { alpha: 16, q: '1 1', k: '1 1', v: '1 1' }],
  ['another alpha', { alphaPattern: { v_proj: 32 } }, [], { alpha: 16, q: '1 1', k: '1 1', v: '2 2' }],
  ['another rank', { rankPattern: { q_proj: 1 } }, ['q_proj'], { alpha: 16, q: '2 0', k: '1 1', v: '1 1' }],
  [
    '√r',
    { alphaPattern: { v_proj: 4 }, useRslora: true },
    [],
    { alpha: 16, q: '1 1', k: '1 1', v: '0.25 0.25' },
  ],
  ['two alphas', { alphaPattern: { q_proj: 8, v_proj: 8 } }, [], { alpha: 8, q: '1 1', k: '2 2', v: '1 1' }],
])('layers keep the scale of most, and others have the ratio in B: %s', async (_, changes, narrow, want) => {
  const read = await readWith(changes, narrow);
  const { alpha, scaling, layers } = read.state;
  const rowsOf = ({ name, b }: (typeof layers)[number]) => [name[0], `${b[0]} ${b[4]}`] as const;
  expect(scaling).toBe('useRslora' in changes ? 'sqrt' : 'constant');
  expect({ alpha, ...Object.fromEntries(layers.map(rowsOf)) }).toEqual(want);
  const notice = rescaledNotice(read);
  if (read.rescaled.length === 0) expect(notice).toBeNull();
  else expect(notice).toMatch(/^1 of 3 layers \(._proj, …\) have a scale of their own/);
  expect(read.rescaled.length).toBe(Object.keys(changes).length === 0 ? 0 : 1);
});

it("Axolotl's names of methods are no folders, and the message has our key", () => {
  expect(() => readAdapter('qlora')).toThrow(/`adapter: qlora` is `method: qlora` here\.$/);
  expect(() => readAdapter('nowhere')).toThrow(/A run writes it to <output_dir>\/adapter\.$/);
});

it('keys that do not exist are told before an adapter that is not there', () => {
  const explicit = valuesOfYaml([
    ['adapter', 'qlora', 'run.yaml:1'],
    ['base_model', 'a', 'run.yaml:2'],
  ]);
  expect(() => resolveShape(explicit)).toThrow(/^\[run\.yaml:2\] There is no key `base_model`/);
});
