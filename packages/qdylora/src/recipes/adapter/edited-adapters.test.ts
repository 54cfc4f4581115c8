import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writePeftAdapter } from '@qdylora/checkpoint';
import { describeModel } from '@qdylora/models';
import { describe, expect, it } from 'vitest';
import { rejection, tinyRun } from '../../../test/tiny-run.ts';
import { evaluate, exportAdapter } from '../../index.ts';

const { folder, judged, model } = tinyRun();
const { linears } = describeModel(
  JSON.parse(readFileSync(join(model, 'config.json'), 'utf8')) as Record<string, unknown>,
  'tiny',
);

/** An adapter of rank 2 of q_proj and down_proj, whose config was edited after it was saved. */
async function editedAdapter(
  name: string,
  changes: Readonly<Record<string, unknown>>,
  others: readonly { readonly name: string; readonly shape: readonly number[] }[] = [],
): Promise<string> {
  const path = folder.in(name);
  const ones = (length: number): Float32Array => new Float32Array(length).fill(0.01);
  await writePeftAdapter(path, {
    layers: [...linears, ...others]
      .filter(({ name: layer }) => /(q|down)_proj$|lm_head/.test(layer))
      .map(({ name: layer, shape: [outFeatures, inFeatures] }) => ({
        name: layer,
        a: ones(2 * inFeatures!),
        b: ones(2 * outFeatures!),
      })),
    rank: 2,
    loraAlpha: 2,
  });
  const config = join(path, 'adapter_config.json');
  writeFileSync(
    config,
    JSON.stringify({ ...(JSON.parse(readFileSync(config, 'utf8')) as object), ...changes }),
  );
  return path;
}

/** What is said while an adapter is used. */
async function noticesOf(use: (onNotice: (text: string) => void) => Promise<unknown>): Promise<string> {
  const notices: string[] = [];
  await use((text) => void notices.push(text));
  return notices.join('\n');
}

const evaluated = (adapter: string): Promise<string> =>
  noticesOf((onNotice) => evaluate({ ...judged, adapter, onNotice }));

const exported = (adapter: string): Promise<string> =>
  noticesOf((onNotice) => exportAdapter({ adapter, outputDir: `${adapter}-out`, onNotice }));

describe('an adapter whose target_modules', () => {
  it('is not read is used whole, with a notice', async () => {
    const adapter = await editedAdapter('possessive', { target_modules: '.*+q_proj' });
    for (const notices of [await evaluated(adapter), await exported(adapter)])
      expect(notices).toMatch(
        /target_modules in adapter_config\.json has an expression that qdylora does not/,
      );
  });

  it("is null is refused where PEFT's default leaves layers out, and exported with a notice", async () => {
    const adapter = await editedAdapter('null', { target_modules: null });
    expect(await rejection(() => evaluated(adapter))).toMatchObject({
      code: 'BAD_ADAPTER',
      message: expect.stringMatching(
        /PEFT's default for llama is q_proj, v_proj\. PEFT would ignore .*down_proj/,
      ) as string,
    });
    expect(await exported(adapter)).toMatch(/target_modules is missing .*so PEFT takes its default/);
  });

  it('is an expression that JavaScript does not know is judged as in Python', async () => {
    const ignoring = await editedAdapter('ignoring', { target_modules: '(?i).*Q_PROJ' });
    expect((await rejection(() => evaluated(ignoring))).message).toMatch(
      /target_modules excludes .*down_proj/,
    );
    const whole = await editedAdapter('whole', { target_modules: '(?i).*(Q|DOWN)_PROJ\\Z' });
    expect(await evaluated(whole)).not.toMatch(/target_modules/);
  });
});

describe('an adapter whose modules_to_save', () => {
  it('names a module of the base, but no weight of which is in the file, is refused', async () => {
    const lost = await editedAdapter('lost', { modules_to_save: ['lm_head'] });
    const other = await editedAdapter('lost-norm', { modules_to_save: ['norm'] });
    for (const [adapter, use] of [
      [lost, exported],
      [other, exported],
      [lost, evaluated],
      [other, evaluated],
    ] as const)
      expect(await rejection(() => use(adapter))).toMatchObject({
        code: 'BAD_ADAPTER',
        message: expect.stringMatching(
          /modules_to_save names .*, but the adapter's file has no such/,
        ) as string,
      });
  });

  it('names only modules that the base does not have is used without a notice', async () => {
    const adapter = await editedAdapter('classifier', { modules_to_save: ['classifier'] });
    expect(await evaluated(adapter)).not.toMatch(/whole weights/);
  });
});

it('an adapter of the head is refused for that reason', async () => {
  const adapter = await editedAdapter('head', {}, [{ name: 'lm_head', shape: [104, 16] }]);
  expect(await rejection(() => evaluated(adapter))).toMatchObject({
    code: 'UNSUPPORTED',
    message: expect.stringMatching(
      /has matrices for lm_head, the head, which cannot have an adapter/,
    ) as string,
  });
});
