import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { questionPrompt } from '@qdylora/data';
import { describeModel, generate } from '@qdylora/models';
import { temporaryFolder } from '@qdylora/testing/node';
import { KNOWN_MODELS } from '../workbench/models.ts';
import { DISTRIBUTIONS, nf4Facts } from '../workbench/nf4-facts.ts';
import { openEmbeddedBase } from '../workbench/open-embedded-base.ts';
import { planInPage, PROCESS_PARTS } from '../workbench/plan-in-page.ts';
import { reportOf } from '../workbench/read-report.ts';
import { docsFolder } from './read-pages.ts';

const root = join(docsFolder, '..');

function command(...args: readonly string[]): string {
  const script = join(root, 'packages/qdylora/bin/qdylora.js');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stdout;
}

describe('will it fit', () => {
  it('every model of the list has the parameters that its authors count', () => {
    const counted = KNOWN_MODELS.map(({ name, config }) => [name, describeModel(config).parameterCount]);
    expect(counted).toEqual(KNOWN_MODELS.map(({ name, parameterCount }) => [name, parameterCount]));
  });

  it('a page plans the bytes of the command, part by part, and proposes the same changes', async () => {
    const { config } = KNOWN_MODELS.find(({ name }) => name === 'Qwen3-0.6B')!;
    const file = join(temporaryFolder(), 'config.json');
    writeFileSync(file, JSON.stringify(config));
    const flags = ['--backend', 'host', '--compute-dtype', 'bf16', '--max-seq-length', '256'];
    const printed = command(
      'plan',
      '--model',
      file,
      ...flags,
      '--val-set-size',
      '8',
      '--memory',
      '1.2GB',
      '--json',
    );
    const planned = JSON.parse(printed) as {
      parts: { part: string; bytes: number }[];
      limit: { fits: boolean; fit: { values: object } | null };
    };
    const page = await planInPage({
      config,
      options: { computeDtype: 'bf16', maxSeqLength: 256, valSetSize: 8 },
      memoryBytes: 1.2e9, // the same changes from 1.12e9 to 1.28e9: the command measures its own process
    });
    expect(page.parts.slice(PROCESS_PARTS.length)).toEqual(planned.parts.slice(PROCESS_PARTS.length));
    expect(page.limit!.fits).toBe(planned.limit.fits);
    expect(Object.keys(page.limit!.fit?.values ?? {})).toEqual(Object.keys(planned.limit.fit?.values ?? {}));
  });

  it('a config that is quantized already, or of an unknown family, is refused in a sentence', async () => {
    const plan = (config: object) => planInPage({ config: { ...config }, options: {}, memoryBytes: 1e9 });
    await expect(plan({ model_type: 'mamba' })).rejects.toThrow(/mamba is not supported/);
    const quantization_config = {
      quant_method: 'bitsandbytes',
      load_in_4bit: true,
      bnb_4bit_quant_type: 'nf4',
    };
    await expect(plan({ ...KNOWN_MODELS[4].config, quantization_config })).rejects.toThrow(
      /quantized already/,
    );
  });
});

describe('the NF4 playground', () => {
  it.each(DISTRIBUTIONS)('%s: bits, errors and shares are those of the quantized matrix', (distribution) => {
    const facts = nf4Facts({ distribution, blockSize: 64, doubleQuantization: true });
    expect(facts.bitsPerWeight).toBeCloseTo(4 + 8 / 64 + 32 / (256 * 64), 2);
    expect(facts.relativeError).toBeGreaterThan(0.03);
    expect(facts.relativeError).toBeLessThan(0.2);
    for (const shares of [facts.levelShares, facts.errorShares])
      expect(shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
  });

  it('a safetensors file can take the place of a distribution, and another file is refused', async () => {
    const file = new Uint8Array(await readFile(join(root, 'packages/embedded-base/model/model.safetensors')));
    const request = { distribution: 'normal', blockSize: 64, doubleQuantization: false } as const;
    expect(nf4Facts({ ...request, file }).name).toMatch(/\[4096, 192\]|\[\d+, \d+\]/);
    expect(() => nf4Facts({ ...request, file: new Uint8Array(64) })).toThrow(/header/i);
  });
});

describe('the report viewer', () => {
  const report = readFileSync(join(docsFolder, 'public/demo/report.json'), 'utf8');
  const events = readFileSync(join(docsFolder, 'public/demo/events.jsonl'), 'utf8');

  it('report.json and events.jsonl together give the charts of report.html', () => {
    const page = reportOf({ report, events });
    for (const text of ['Held-out loss at each rank', 'rank 64', 'held-out example'])
      expect(page).toContain(text);
    expect(page).toMatch(/<svg[\s\S]*<svg/);
    expect(page).not.toMatch(/<script|NaN/);
  });

  it('either file alone is enough', () => {
    expect(reportOf({ report })).toContain('rank 64');
    expect(reportOf({ events })).toContain('<svg');
  });

  it('other files are refused', () => {
    expect(() => reportOf({ report: '{"a": 1}' })).toThrow('no report.json');
    expect(() => reportOf({ events: 'hello\n' })).toThrow('no events.jsonl');
  });
});

describe('try it', () => {
  it('the page answers as the command does, at every rank of the adapter', async () => {
    const model = 'packages/embedded-base/model';
    const { adapted, tokenizer } = await openEmbeddedBase(async (path) => {
      const file = path.startsWith('model/')
        ? join(root, model, path.slice(6))
        : join(docsFolder, 'public', path);
      const bytes = await readFile(file);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    });
    const prompt = 'Tom has 3 apples and buys 4 more. How many does he have?';
    for (const rank of [1, 16]) {
      const ids: number[] = [];
      const view = adapted.atRank(rank);
      for await (const id of generate(view, tokenizer.encode(questionPrompt(prompt)), {
        maxNewTokens: 12,
        stopIds: [0],
      }))
        ids.push(id);
      const adapter = join(docsFolder, 'public/demo/adapter');
      const flags = [
        '--adapter',
        adapter,
        '--rank',
        String(rank),
        '--max-new-tokens',
        '12',
        '--prompt',
        prompt,
      ];
      const printed = command('generate', '--model', join(root, model), '--backend', 'host', ...flags);
      expect(printed.trim()).toBe(tokenizer.decode(ids).trim());
    }
  });
});
