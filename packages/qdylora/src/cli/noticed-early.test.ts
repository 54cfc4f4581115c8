import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { command } from '../../test/run-command.ts';
import { tinyCommands } from '../../test/tiny-commands.ts';
import { TINY_CONFIG, writeTinyModel } from '../../test/tiny-model.ts';

const { folder, rows, host, train } = tinyCommands();
const run = folder.in('run');
const adapter = `${run}/adapter`;
const away = ['--model', folder.in('away'), '--backend', 'host', '--quantization', 'none'];
const nowhere = folder.in('nowhere.jsonl');

/** A model whose tokenizer can be read, but whose weights cannot: it lacks those of its second layer. */
const incomplete = ['--model', folder.in('incomplete'), ...host.slice(2)];

beforeAll(async () => {
  const { code, err } = await command(...train, '--output-dir', run);
  expect(code, err).toBe(0);
  const path = writeTinyModel(folder.in('incomplete'), { tokenizer: true });
  writeFileSync(`${path}/config.json`, JSON.stringify({ ...TINY_CONFIG, num_hidden_layers: 2 }));
  expect((await command('eval', ...incomplete, '--dataset', rows)).err).toMatch(/layers\.1/);
});

describe('before the files of a model are opened', () => {
  const cut = ['export', '--adapter', adapter, '--output-dir', folder.in('cut'), '--budget', '1kB'];
  it.each<[string, string[], string]>([
    ['eval', ['eval', ...away, '--dataset', nowhere], nowhere],
    ['eval with a pattern', ['eval', ...away, '--dataset', `${nowhere}*`], `${nowhere}*`],
    ['ranks', ['ranks', ...away, '--adapter', adapter, '--data', nowhere], nowhere],
    ['export', [...cut, '--model', folder.in('away'), '--dataset', nowhere], nowhere],
    ['finish', ['finish', run, '--rank', '2', '--output-dir', folder.in('f'), '--dataset', nowhere], nowhere],
    ['train', [...train, ...away, '--output-dir', folder.in('t'), '--dataset', nowhere], nowhere],
    [
      'train with an eval_dataset',
      [...train, ...away, '--output-dir', folder.in('t'), '--val-set-size', '0', '--eval-dataset', nowhere],
      nowhere,
    ],
  ])('%s notices rows that are not there', async (_, argv, where) => {
    const { code, err } = await command(...argv);
    expect(code, err).toBe(2);
    expect(err).toContain(`[${where}]`);
    expect(err).toMatch(/There is no such dataset file|No file matches this pattern/);
  });
});

it.each([
  ['without a prompt', [], /There is no prompt, and standard input is not a terminal/],
  ['with --json and without a prompt', ['--json'], /`--json` needs a prompt/],
])('generate %s is refused before a model is opened', async (_, words, message) => {
  const { code, err } = await command('generate', ...away, ...words);
  expect([code, err]).toEqual([2, expect.stringMatching(message)]);
});

it('a port that is taken is noticed before a model is opened', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const { code, err } = await command('serve', run, ...away, '--port', String(port));
  expect([code, err]).toEqual([2, expect.stringContaining(`cannot listen on 127.0.0.1:${port}`)]);
  expect((await command('serve', run, ...away, '--port', '0')).err).toContain(folder.in('away'));
});

describe('before the weights of a model are loaded', () => {
  it('eval --tasks notices rows of tasks that are not there', async () => {
    const { err } = await command('eval', ...incomplete, '--tasks', 'gsm8k', '--task-data', folder.path);
    expect(err).toContain('There is no file of the split test');
  });

  it.each([
    ['context', ['--context', '4000'], /The model reads 128 tokens, and the context has 4000/],
    ['memory', ['--kv-memory', '1kB', '--context', '64'], /kv_memory, and 64 are needed/],
  ])('serve notices a %s that does not fit', async (_, words, message) => {
    const { err } = await command('serve', run, ...incomplete, '--port', '0', ...words);
    expect(err).toMatch(message);
  });

  it('generate notices what needs a tokenizer or a chat template', async () => {
    const bare = writeTinyModel(folder.in('bare'));
    writeFileSync(`${bare}/config.json`, JSON.stringify({ ...TINY_CONFIG, num_hidden_layers: 2 }));
    const errorOf = async (model: string[], ...words: string[]) =>
      (await command('generate', ...model, ...words)).err;
    const withoutTokenizer = ['--model', bare, ...host.slice(2)];
    expect(await errorOf(withoutTokenizer, '--prompt', 'a')).toContain('it cannot read a prompt');
    expect(await errorOf(withoutTokenizer, '--prompt-ids', '3', '--stop', 'b')).toContain('Leave --stop out');
    expect(await errorOf(incomplete, '--prompt', 'a', '--system', 'b', '--raw')).toContain(
      'A system message needs a chat template',
    );
  });

  it.each<[string, string[]]>([
    ['eval', ['eval', ...incomplete]],
    ['ranks', ['ranks', ...incomplete, '--adapter', adapter]],
  ])('%s notices rows that do not fit', async (_, argv) => {
    const wrong = folder.in('wrong.jsonl');
    writeFileSync(wrong, '{"input_ids":[1,2,104]}');
    const { err } = await command(...argv, '--dataset', wrong);
    expect(err).toContain('got 104 at index 2');
  });
});
