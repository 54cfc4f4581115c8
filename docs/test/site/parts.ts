import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { questionPrompt } from '@qdylora/data';
import { generate } from '@qdylora/models';
import { KNOWN_MODELS } from '../../workbench/models.ts';
import { openEmbeddedBase } from '../../workbench/open-embedded-base.ts';
import { planInPage } from '../../workbench/plan-in-page.ts';
import { docsFolder } from '../read-pages.ts';
import { shoot, type Site } from './open-site.ts';

/** The machine may be busy with other tests. */
const PATIENCE = { timeout: 120_000 };
const demoFile = (name: string): string => join(docsFolder, 'public/demo', name);

type PartCase = readonly [law: string, path: string, use: (page: Page) => Promise<void>];

const CASES: readonly PartCase[] = [
  ['will it fit plans the bytes of the command', 'decide/will-it-fit', planFalcon],
  ['the NF4 playground quantizes what is chosen, and a file', 'understand/nf4', quantizeInPage],
  ['the rank is dragged, and loss and bytes follow', 'understand/nested-ranks', dragRank],
  ['the viewer shows dropped files as report.html does', 'decide/read-a-report', dropReport],
  ['try it writes the tokens that the packages write in Node', 'start/in-the-page', answerInPage],
];

/** Each interactive part, used as a person would. Its results are those of the packages. */
export function partCases(site: () => Site): void {
  it.each(CASES)('%s', async (_law, path, use) => {
    await using visit = await site().visit(path);
    await use(visit.page);
    expect(visit.problems).toEqual([]);
  });
}

async function planFalcon(page: Page): Promise<void> {
  const verdict = page.locator('.verdict');
  await page.selectOption('[name=model]', 'Falcon-40b (paper)');
  // What is shown is never the verdict on the model before, which fits
  expect(await verdict.textContent()).not.toContain('It fits into 16 GB');
  await page.fill('[name=rows]', '1');
  await page.selectOption('[name=memory]', '32');
  await verdict.filter({ hasText: 'It fits into 32 GB' }).filter({ hasText: '30.' }).waitFor(PATIENCE);
  const shown = await page
    .locator('table.parts tr')
    .evaluateAll((rows) => rows.map((row) => Number((row as HTMLElement).dataset.bytes)));
  const { config } = KNOWN_MODELS.find(({ name }) => name === 'Falcon-40b (paper)')!;
  const options = { microBatchSize: 1, maxSeqLength: 512 };
  const plan = await planInPage({ config, options, memoryBytes: 32e9 });
  expect(shown).toEqual(plan.parts.map(({ bytes }) => bytes).filter((bytes) => bytes > 0));
  await shoot(page, 'will-it-fit-falcon');
  await page.selectOption('[name=model]', '');
  await page.fill('[name=config]', JSON.stringify({ model_type: 'mamba' }));
  await page.locator('.problem', { hasText: 'mamba is not supported' }).waitFor(PATIENCE);
  await page.fill('[name=config]', '{ "model_type": ');
  await page.locator('.problem', { hasText: 'This is not the JSON of a config.json' }).waitFor(PATIENCE);
  await shoot(page, 'will-it-fit-refused');
}

async function quantizeInPage(page: Page): Promise<void> {
  await page.getByText('4.127 bits a weight').waitFor(PATIENCE);
  await page.uncheck('[name=double]');
  await page.getByText('4.500 bits a weight').waitFor();
  await page.selectOption('[name=block]', '32');
  await page.getByText('5.000 bits a weight').waitFor();
  await drop(page, [demoFile('adapter/adapter_model.safetensors')]);
  await page.locator('.verdict', { hasText: 'lora_A' }).waitFor(PATIENCE);
  expect(await page.locator('.verdict').textContent()).toContain('5.000 bits');
  await drop(page, [demoFile('report.json')]);
  await page.locator('.problem').waitFor(PATIENCE);
}

async function dragRank(page: Page): Promise<void> {
  await page.getByText('mlp.down_proj').waitFor(PATIENCE);
  const { x, y, width, height } = (await page.locator('[name=rank]').boundingBox())!;
  await page.mouse.move(x + width * 0.75, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + 1, y + height / 2, { steps: 5 });
  await page.mouse.up();
  expect(await page.locator('.verdict').textContent()).toMatch(/^rank 1: .*108.* kB|^rank 1: .*0\.1 MB/);
  await page.selectOption('[name=schedule]', 'all');
  expect(await page.locator('td.drawn').count()).toBe(5 * 12);
}

async function dropReport(page: Page): Promise<void> {
  await page.locator('.workbench').waitFor();
  await drop(page, [demoFile('report.json'), demoFile('events.jsonl')]);
  const frame = page.frameLocator('iframe');
  await frame.getByText('rank 64').first().waitFor();
  expect(await frame.locator('svg').count()).toBeGreaterThan(2);
  await shoot(page, 'report-viewer');
  await page.setInputFiles('[name=files]', demoFile('adapter/manifest.json'));
  await page.locator('.problem', { hasText: 'no report.json' }).waitFor();
}

async function answerInPage(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Answer' }).click();
  await page.getByText('by the TypeScript backend').waitFor({ timeout: 300_000 });
  await shoot(page, 'try-it');
  const { adapted, tokenizer } = await openEmbeddedBase(async (path) => {
    const { buffer, byteOffset, length } = readFileSync(join(docsFolder, 'public', path));
    return buffer.slice(byteOffset, byteOffset + length) as ArrayBuffer;
  });
  const prompt = await page.locator('[name=prompt]').inputValue();
  const ids: number[] = [];
  const start = tokenizer.encode(questionPrompt(prompt));
  for await (const id of generate(adapted.atRank(8), start, { maxNewTokens: 48, stopIds: [0] })) ids.push(id);
  expect(await page.locator('pre.answer').textContent()).toBe(tokenizer.decode(ids));
}

/** Drops files on the interactive part, as a mouse would. */
async function drop(page: Page, files: readonly string[]): Promise<void> {
  const contents = files.map((file) => ({
    name: basename(file),
    base64: readFileSync(file).toString('base64'),
  }));
  const dataTransfer = await page.evaluateHandle((all) => {
    const transfer = new DataTransfer();
    for (const { name, base64 } of all)
      transfer.items.add(new File([Uint8Array.from(atob(base64), (sign) => sign.charCodeAt(0))], name));
    return transfer;
  }, contents);
  await page.dispatchEvent('.workbench', 'drop', { dataTransfer });
}
