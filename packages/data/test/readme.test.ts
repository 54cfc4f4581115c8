import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { tokenizerJson } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const code = Array.from(
  readFileSync(new URL('../README.md', import.meta.url), 'utf8').matchAll(/```ts\n(.*?)```/gs),
  ([, example]) => example!,
).join('\n');

describe('the examples of the README', () => {
  it('run as they stand, and print what their comments say', async () => {
    files.write('tokenizer.json', JSON.stringify(tokenizerJson('smollm2')));
    files.write(
      'gsm8k.jsonl',
      jsonl(
        { question: 'Two pens cost $4. One?', answer: '$4 / 2 = $2\n#### 2' },
        { question: 'Half of 10?', answer: '#### 5' },
        { question: 'A dozen and one?', answer: '12 + 1 = 13\n#### 13' },
        { question: '3 * 3?', answer: '#### 9' },
      ),
    );
    const source = new URL('../src/index.ts', import.meta.url).href;
    const example = files.write('example.ts', code.replace("'@qdylora/data'", JSON.stringify(source)));
    const print = vi.spyOn(console, 'log').mockImplementation(() => {});
    const home = process.cwd();
    try {
      process.chdir(files.folder);
      await import(/* @vite-ignore */ pathToFileURL(example).href);
    } finally {
      process.chdir(home);
    }
    const printed = print.mock.calls.map((values) => values.join(' ').replaceAll('\n', '\\n'));
    expect(printed).toEqual(Array.from(code.matchAll(/\/\/ → (.*)/g), ([, said]) => said));
    print.mockRestore();
  });
});
