import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { snakeCase } from '@qdylora/contract';
import { temporaryFolder } from '@qdylora/testing/node';
import { KEY_NAMES } from '../app-sources.ts';
import { codeBlocks, docsFolder, writtenPages, type CodeBlock } from './read-pages.ts';

const root = join(docsFolder, '..');
/** Those of research/ start runs of hours. */
const pages = [...writtenPages()]
  .filter(([path]) => !path.startsWith('research'))
  .map(([path, text]) => ({ path, blocks: codeBlocks(text) }));
const isSkipped = ({ info }: CodeBlock): boolean => info.startsWith('skip=');

/**
 * The model that stands in for those that pages download: their names are in the cache of the hub, which is
 * offline.
 */
const STAND_IN = join(root, 'packages/embedded-base/model');
const HUB_NAMES = ['HuggingFaceTB/SmolLM2-135M-Instruct'];

/** A folder as the pages assume it: a checkout with rows of one's own. */
function checkout(): string {
  const folder = temporaryFolder();
  for (const name of ['packages', 'examples']) symlinkSync(join(root, name), join(folder, name));
  symlinkSync(join(docsFolder, 'node_modules'), join(folder, 'node_modules'));
  const rows = readFileSync(join(root, 'examples/demo/gsm8k-train.jsonl'), 'utf8').split('\n').slice(0, 40);
  writeFileSync(join(folder, 'rows.jsonl'), `${rows.join('\n')}\n`);
  for (const name of HUB_NAMES) {
    const model = join(folder, 'hub/hub', `models--${name.replace('/', '--')}`);
    mkdirSync(join(model, 'refs'), { recursive: true });
    writeFileSync(join(model, 'refs/main'), '0123456789abcdef0123456789abcdef01234567');
    cpSync(STAND_IN, join(model, 'snapshots/0123456789abcdef0123456789abcdef01234567'), { recursive: true });
  }
  mkdirSync(join(folder, 'bin'));
  const command = join(root, 'packages/qdylora/bin/qdylora.js');
  writeFileSync(join(folder, 'bin/npx'), `#!/bin/sh\nshift\nexec "${process.execPath}" "${command}" "$@"\n`);
  chmodSync(join(folder, 'bin/npx'), 0o755);
  return folder;
}

interface Ended {
  readonly status: number | null;
  readonly text: string;
}

function run(folder: string, command: string, args: readonly string[]): Ended {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: folder,
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${join(folder, 'bin')}:${dirname(process.execPath)}:${process.env.PATH}`,
      HF_HOME: join(folder, 'hub'),
      HF_HUB_OFFLINE: '1',
      NO_COLOR: '1',
    },
  });
  return { status, text: `${stdout}${stderr}` };
}

/** Text without what depends on the machine: numbers, what they lead to, and the spaces that align them. */
const shapeOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) =>
      line
        .replace(/[\d.,:]+/g, '0')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .filter((line) => line !== '');

describe.each(pages.filter(({ blocks }) => blocks.some(isRun)))('$path', ({ blocks }) => {
  const folder = checkout();
  let last = '';
  it.each(blocks.filter((block) => isRun(block) || block.info === 'output'))(
    'line $line: the block $language $info does what the page says',
    ({ language, info, text }) => {
      if (info === 'output') {
        expect(shapeOf(last).join('\n')).toContain(shapeOf(text).join('\n'));
        return;
      }
      const { status, text: printed } =
        language === 'sh' ? run(folder, 'sh', ['-ec', text]) : runProgram(folder, text);
      expect(status, printed).toBe(0);
      last = printed;
    },
  );
});

function isRun(block: CodeBlock): boolean {
  return ['sh', 'ts'].includes(block.language) && !isSkipped(block);
}

function runProgram(folder: string, text: string): Ended {
  writeFileSync(join(folder, 'program.mts'), text);
  return run(folder, process.execPath, [
    '--import',
    join(root, 'node_modules/tsx/dist/esm/index.mjs'),
    'program.mts',
  ]);
}

it('every TypeScript block compiles in strict mode, against the published types', () => {
  const folder = checkout();
  const names = pages.flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language, info }) => language === 'ts' && info === '')
      .map(({ text, line }) => {
        const name = join(folder, `${path.replaceAll('/', '-')}-${line}.mts`);
        writeFileSync(name, text);
        return name;
      }),
  );
  const program = ts.createProgram(names, {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: [join(root, 'node_modules/@types/node')],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
  });
  const messages = ts
    .getPreEmitDiagnostics(program)
    .map(
      ({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    );
  expect(messages).toEqual([]);
  expect(names.length).toBeGreaterThan(0);
});

it('every YAML block of a run has keys that exist', () => {
  const known = new Set(KEY_NAMES.map(snakeCase));
  const unknown = pages.flatMap(({ path, blocks }) =>
    blocks
      .filter(({ language }) => language === 'yaml')
      .flatMap(({ text }) => [...text.matchAll(/^(\w+):/gm)].map(([, key]) => key))
      .filter((key) => !known.has(key))
      .map((key) => `${path}: ${key}`),
  );
  expect(unknown).toEqual([]);
});
