import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { snakeCase } from '@qdylora/contract';
import { KEY_NAMES } from '../app-sources.ts';
import { movePages } from '../generate/move-pages.ts';
import { Checkout, type Ended } from './checkout.ts';
import { codeBlocks, writtenPages, type CodeBlock } from './read-pages.ts';
import { typeErrors } from './type-errors.ts';

const pages = [...writtenPages()].map(([path, text]) => ({ path, blocks: codeBlocks(text) }));

/**
 * What stands behind the language of a block: `output` (of the block before), `server` (runs while the blocks
 * after it do), `skip="reason"`, `needs="program"`; of Python `needs="module, module"`.
 */
const noted = ({ info }: CodeBlock, name: 'skip' | 'needs'): string | null =>
  new RegExp(`^${name}="(.+)"$`).exec(info)?.[1] ?? null;
const isRun = (block: CodeBlock): boolean =>
  ['sh', 'ts', 'python'].includes(block.language) && noted(block, 'skip') === null;
const isOutput = ({ info }: CodeBlock): boolean => info === 'output';

/** The mark of the best rank, wherever it is. */
const BEST = '← best';

/**
 * Text without what depends on the machine: numbers, the rank that they lead to (`← best`), and the spaces
 * that align them.
 */
const shapeOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) =>
      line
        .replace(/←.*/, '')
        .replace(/[\d.,:]+/g, '0')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');

function runBlock(checkout: Checkout, { language, text }: CodeBlock): Ended {
  if (language === 'sh') return checkout.runShell(text);
  return language === 'python' ? checkout.runPython(text) : checkout.runProgram(text);
}

describe.each(pages.filter(({ blocks }) => blocks.some(isRun)))('$path', ({ blocks }) => {
  const checkout = new Checkout();
  let last = '';
  afterAll(() => checkout.stopServer());
  it.for(blocks.filter((block) => isRun(block) || isOutput(block)))(
    'line $line: the block $language $info does what the page says',
    async (block, { skip }) => {
      const { language, info, text } = block;
      const needed = noted(block, 'needs');
      if (needed !== null && !checkout.isInstalled(needed, language)) skip(`not installed: ${needed}`);
      if (isOutput(block)) {
        expect(shapeOf(last).join('\n')).toContain(shapeOf(text).join('\n'));
        if (text.includes(BEST)) expect(last).toContain(BEST);
        return;
      }
      if (info === 'server') {
        last = await checkout.startServer(text);
        return;
      }
      const { status, text: printed } = runBlock(checkout, block);
      expect(status, printed).toBe(0);
      last = printed;
    },
  );
});

it('every block is run or checked, or says why not', () => {
  const CHECKED = ['sh', 'ts', 'python', 'json', 'yaml'];
  const others = pages.flatMap(({ path, blocks }) =>
    blocks
      .filter((block) => !(CHECKED.includes(block.language) && noted(block, 'skip') === null))
      .filter((block) => !isOutput(block))
      .map((block) => ({ place: `${path}:${block.line}`, reason: noted(block, 'skip') })),
  );
  expect(others.filter(({ reason }) => reason === null)).toEqual([]);
  const all = pages.reduce((sum, { blocks }) => sum + blocks.length, 0);
  console.log(
    [
      `[docs] ${all - others.length} of ${all} blocks are run or checked. Not run:`,
      ...others.map(({ place, reason }) => `[docs]   ${place}: ${reason}`),
    ].join('\n'),
  );
});

it('every TypeScript block compiles in strict mode, against the published types', () => {
  const { folder } = new Checkout();
  const names = pages.flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language, info }) => language === 'ts' && info === '')
      .map(({ text, line }) => {
        const name = join(folder, `${path.replaceAll('/', '-')}-${line}.mts`);
        writeFileSync(name, text);
        return name;
      }),
  );
  const messages = typeErrors(names);
  expect(messages).toEqual([]);
  expect(names.length).toBeGreaterThan(0);
});

it('every JSON block is JSON', () => {
  const texts = pages.flatMap(({ blocks }) =>
    blocks.filter(({ language }) => language === 'json').map(({ text }) => text),
  );
  for (const text of texts) expect(() => JSON.parse(text) as unknown, text).not.toThrow();
});

it('every YAML block of a run has keys that exist', () => {
  const known = new Set(KEY_NAMES.map(snakeCase));
  const generated = [...movePages()].map(([path, text]) => ({ path, blocks: codeBlocks(text) }));
  const unknown = [...pages, ...generated].flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language }) => language === 'yaml')
      .flatMap(({ text }) => [...text.matchAll(/^(\w+):/gm)].map(([, key]) => key))
      .filter((key) => !known.has(key))
      .map((key) => `${path}: ${key}`),
  );
  expect(unknown).toEqual([]);
});
