import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { command, commandAt, fromSource } from '../../test/run-command.ts';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../test/tiny-model.ts';

const folder = temporaryPlace();
const model = writeTinyModel(folder.in('model'), { tokenizer: true });
const rows = writeTinyRows(folder.in('rows.jsonl'));
const host = ['--model', model, '--backend', 'host', '--quantization', 'none'];

describe('the command line', () => {
  it.each([
    [['--help'], 0],
    [['train', '--help'], 0],
    [['--version'], 0],
    [['nonsense'], 2],
    [['eval', '--nonsense'], 2],
    [['train'], 2],
    [['eval', '--model', 'nowhere', '--data', 'nowhere'], 2],
    [['train', '--model', 'm', '--dataset', 'd', '--output-dir', 'o', '--learning-rate', 'fast'], 2],
    [['generate', '--model', 'nowhere', '--prompt', 'x'], 2],
  ])('%j ends with %i', async (argv, code) => {
    expect((await command(...argv)).code).toBe(code);
  });

  it('says of finish what a run without the flag has: the values of the earlier run', async () => {
    const { out } = await command('finish', '--help');
    expect(out).not.toContain('(default: ');
    expect(out.replace(/\s+/g, ' ')).toContain(
      '--learning-rate <number> Peak learning rate; default: a fifth of',
    );
  });

  it('names a wrong flag as it was written', async () => {
    expect((await command('train', '--learning-rate', 'fast')).err).toMatch(
      /^\[command line\] `--learning-rate` must be a number > 0 \(got "fast"\)\.\nCorrect it/,
    );
    expect((await command('train', '--learning-rat', '1')).err).toMatch(
      /has no option `--learning-rat`\.\nDid you mean `--learning-rate`\?/,
    );
  });

  it.each(['yes', 'no', 'on', '0', '1', 'True', 'FALSE'])(
    'refuses %s as the value of a boolean flag',
    async (word) => {
      const { code, err } = await command('train', '--packing', word);
      expect([code, err]).toEqual([
        2,
        expect.stringContaining(`\`--packing\` must be true or false (got "${word}")`),
      ]);
    },
  );

  it.each([
    [['train', '--lr', '1e-4'], /It is called `--learning-rate` here\./],
    [['train', '--epochs', '3'], /It is called `--num-epochs` here\./],
    [['train', '--batch-size', '3'], /It is called `--micro-batch-size` here\./],
    [['train', '--base-model', 'm'], /It is called `--model` here\./],
    [['train', '--resume', 'auto'], /It is called `--resume-from-checkpoint` here\./],
    [
      ['train', '--train-on-inputs', 'false'],
      /Here it is `--completion-only-loss`, which means the opposite: true instead of false\./,
    ],
    [['train', '--load-in-4bit'], /It is called `--quantization` here\./],
    [['train', '--bnb_4bit_use_double_quant', 'true'], /It is called `--double-quantization` here\./],
    [['train', '--lr=1e-4'], /It is called `--learning-rate` here\./],
    [['eval', '--data', 'train', '--foo'], /`qdylora eval` has no option `--foo`/],
    [['help', 'nope'], /There is no command `nope`\.\n`npx qdylora --help` lists the commands/],
    [['tain'], /There is no command `tain`\.\nDid you mean `train`\?/],
    [['train', '--seed'], /`--seed` needs a value/],
  ])('%j says what the name is here, as text and as JSON', async ([name, ...others], message) => {
    const { code, out, err } = await command(name!, '--json', ...others);
    expect([code, err]).toEqual([2, expect.stringMatching(message)]);
    expect(JSON.parse(out)).toMatchObject({ error: { code: 'BAD_CONFIG', where: 'command line' } });
  });

  it('says where flags of train belong in launch', async () => {
    const { code, err } = await command('launch', 'run.yaml', '--output-dir', 'x');
    const advice = /come after `--`: `qdylora launch run\.yaml -- --output-dir …`/;
    expect([code, err]).toEqual([2, expect.stringMatching(advice)]);
  });

  it.each<[string[], RegExp]>([
    [['train', '--output-dir', '--dry-run'], /`--output-dir` needs a value, but `--dry-run` follows it\./],
    [['train', '--max-steps', '--output-dir', 'x'], /`--max-steps` needs a value/],
    [['train', '--output-dir', '--packing'], /`--output-dir` needs a value, but `--packing` follows it\./],
    [['export', '--output-dir', '--json'], /`--output-dir` needs a value/],
    [['generate', '--prompt', '--help'], /`--prompt` needs a value/],
    [['launch', '-n', '--hosts', 'a', 'run.yaml'], /`-n` needs a value/],
  ])('%j lacks a value, and the next flag is not taken for it', async (argv, message) => {
    expect(await command(...argv)).toMatchObject({
      code: 2,
      err: expect.stringMatching(message) as string,
    });
  });

  it.each<[string[], RegExp]>([
    [['train', '--learning-rate', '-1'], /`--learning-rate` must be a number > 0 \(got -1\)/],
    [['train', '--learning-rate', '-'], /`--learning-rate` must be a number > 0 \(got "-"\)/],
    [['train', '--learning-rate=--seed'], /`--learning-rate` must be a number > 0 \(got "--seed"\)/],
  ])('%j has a value', async (argv, message) => {
    expect((await command(...argv)).err).toMatch(message);
  });

  it('wraps help between words at any width', async () => {
    for (const columns of [40, 60, 80, 120, 200]) {
      const { out } = await commandAt(columns, 'train', '--help');
      const words = out.split(/\s+/);
      const isName = (line: string): boolean => /^( +--|Usage:)/.test(line) && !/ {2}/.test(line.trim());
      const tooLong = out.split('\n').filter((line) => line.length > Math.min(columns, 110) && !isName(line));
      expect(tooLong).toEqual([]);
      for (const word of ['--gradient-accumulation-steps', 'regular', 'cosine_with_restarts'])
        expect(words.map((each) => each.replace(/[,.;]$/, ''))).toContain(word);
    }
  });

  it('keeps standard output to one JSON document, also when it fails', async () => {
    const run = promisify(execFile);
    const good = await run(process.execPath, [...fromSource, 'eval', ...host, '--data', rows, '--json']);
    expect(Object.keys(JSON.parse(good.stdout) as object)).toEqual(['precision', 'results']);
    const bad = await run(process.execPath, [
      ...fromSource,
      'eval',
      ...host,
      '--data',
      'nowhere.jsonl',
      '--json',
    ]).catch((error: { code: number; stdout: string; stderr: string }) => error);
    expect(bad).toMatchObject({ code: 2, stderr: expect.not.stringMatching(/\n +at /) as string });
    expect(JSON.parse(bad.stdout)).toMatchObject({ error: { code: 'MISSING_FILE' } });
  });
});
