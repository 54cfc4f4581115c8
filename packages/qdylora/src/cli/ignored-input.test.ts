import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../test/run-command.ts';
import { tinyCommands } from '../../test/tiny-commands.ts';

const { folder, rows, host, train } = tinyCommands();
const run = folder.in('run');
const adapter = `${run}/adapter`;

beforeAll(async () => {
  const { code, err } = await command(...train, '--output-dir', run);
  expect(code, err).toBe(0);
});

describe('input that would be ignored', () => {
  const judged = ['--dataset', rows];
  it.each<[string, string[], RegExp]>([
    [
      'a prompt beside token ids',
      ['generate', ...host, '--prompt', 'a', '--prompt-ids', '3,4'],
      /`prompt` has no/,
    ],
    ['--json of a conversation', ['generate', ...host, '--json'], /`--json` needs a prompt/],
    ['raw beside token ids', ['generate', ...host, '--raw', '--prompt-ids', '3,4'], /`raw` has no effect/],
    [
      'a system message beside token ids',
      ['generate', ...host, '--prompt-ids', '3,4', '--system', 'b'],
      /`system` has no effect/,
    ],
    [
      'a chat template beside token ids',
      ['generate', ...host, '--prompt-ids', '3,4', '--chat-template', 'chatml'],
      /`chat_template` has no effect/,
    ],
    [
      'a system message that raw leaves out',
      ['generate', ...host, '--raw', '--prompt', 'a', '--system', 'b'],
      /needs a chat template, and the prompt is written without one here \(as it is\)/,
    ],
    ['data beside dataset', ['eval', ...host, '--data', rows, ...judged], /--data is short for --dataset/],
    [
      'a path beside a model',
      ['inspect', adapter, '--model', folder.in('model')],
      /The path .* and --model .* both name what to inspect/,
    ],
    [
      'data beside dataset of inspect',
      ['inspect', '--data', rows, ...judged],
      /--data is short for --dataset/,
    ],
    [
      'the model of an export that reads none',
      ['export', '--adapter', adapter, '--output-dir', folder.in('r2'), '--rank', '2', ...host.slice(0, 2)],
      /`--model` is only for `--budget`, which is not set, and for `--format` gguf.*base_model_name/s,
    ],
    [
      'a row of no rows',
      ['inspect', adapter, '--row', '3'],
      /--row is about rows, but no --dataset is named/,
    ],
    ['a folder that a finish lacks', ['finish', run, '--rank', '2'], /--output-dir .*-r2-finished/],
    [
      'a grid beside a range test',
      ['tune', `${run}/run.yaml`, '--range-test', '--rates', '3'],
      /`--rates` has no/,
    ],
    [
      'the report of a run',
      ['ranks', ...host, ...judged, '--adapter', adapter, '--output-dir', run],
      /report\.html/,
    ],
  ])('%s is refused', async (_, argv, message) => {
    const before = existsSync(run) && readFileSync(`${run}/report.html`, 'utf8');
    const { code, err } = await command(...argv);
    expect([code > 0, err]).toEqual([true, expect.stringMatching(message)]);
    expect(readFileSync(`${run}/report.html`, 'utf8')).toBe(before);
  });

  it('of ranks without an adapter is a notice', async () => {
    const { err } = await command('eval', ...host, ...judged, '--ranks', '2');
    expect(err).toContain('There is no adapter, so ranks does nothing');
  });

  it('has the base and the difference from it where they are asked for', async () => {
    const argv = ['eval', ...host, ...judged, '--adapter', adapter, '--ranks', '2', '--compare-with-base'];
    const { out } = await command(...argv, '--json');
    const { results } = JSON.parse(out) as {
      results: { rank: number | null; loss: number; versus_base?: { mean: number } }[];
    };
    expect(results.map(({ rank }) => rank)).toEqual([null, 2]);
    expect(results[1].versus_base!.mean).toBeCloseTo(results[1].loss - results[0].loss, 6);
    expect((await command(...argv)).out).toMatch(/vs model\n *model .*\n +2 .*[+−]\d\.\d+ ±/);
  });
});

it('a run without an adapter is not served, and the reason is the true one', async () => {
  const full = folder.in('full');
  const none = train.filter((word) => word !== '--ranks' && word !== '1,2,4');
  const { code, err } = await command(...none, '--method', 'none', '--output-dir', full);
  expect(code, err).toBe(0);
  expect((await command('serve', full, '--port', '0')).err).toMatch(/trained a whole model \(method none\)/);
});

it('a text beyond the positions of the model is a notice', async () => {
  const long = folder.in('long.jsonl');
  const ids = Array.from({ length: 200 }, (_, i) => 3 + (i % 90));
  writeFileSync(long, `${JSON.stringify({ input_ids: ids })}\n`.repeat(3));
  const evaluated = await command('eval', ...host, '--dataset', long, '--max-seq-length', '200');
  expect(evaluated.err).toMatch(/Rows have up to 200 tokens, and the model was trained with 128 positions/);
  const answered = await command('generate', ...host, '--prompt-ids', '3,4', '--max-new-tokens', '130');
  expect(answered.err).toMatch(/Prompt and answer may have 132 tokens, and .* 128 positions/);
});

it('says that top_k and top_p have no effect at temperature 0, and nothing where it is above', async () => {
  const words = ['generate', ...host, '--prompt-ids', '3,4', '--max-new-tokens', '2'];
  for (const [flag, value] of [
    ['--top-k', '3'],
    ['--top-p', '0.5'],
  ] as const) {
    const key = flag.slice(2).replace('-', '_');
    expect((await command(...words, flag, value)).err).toContain(`${key} has no effect: temperature is 0`);
    expect((await command(...words, flag, value, '--temperature', '1')).err).not.toContain('no effect');
  }
});
