import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { command, fromSource } from '../../test/run-command.ts';
import { post, tinyModel, trainRuns } from '../../test/served-run.ts';

test('the command serves a run until SIGTERM, and then ends by itself', async () => {
  const [run] = await trainRuns(tinyModel(), ['smol'], 1);
  const words = ['serve', run, '--port', '0', '--num-threads', '1'];
  const child = spawn(process.execPath, [...fromSource, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
  let notes = '';
  child.stderr.on('data', (data: Buffer) => (notes += data.toString()));
  onTestFinished(() => void child.kill('SIGKILL'));
  const early = once(child, 'exit').then(() => Promise.reject(new Error(notes)));
  const [line] = (await Promise.race([once(child.stdout, 'data'), early])) as [Buffer];
  const url = line.toString().trim();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
  const { status, json } = await post(url, '/completions', {
    model: 'smol:r2',
    prompt: 'a',
    max_tokens: 3,
    temperature: 0,
  });
  expect([status, json.usage]).toEqual([200, { prompt_tokens: 1, completion_tokens: 3, total_tokens: 4 }]);
  early.catch(() => {}); // it ends now
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  expect([code, notes]).toEqual([0, expect.stringContaining('Ending the running answers, within 8 s.')]);
});

test.each([
  [['serve'], 'There is no adapter to serve'],
  [['serve', 'nowhere'], 'There is no adapter in nowhere'],
  [['serve', 'nowhere', '--prot', '1'], 'Did you mean `--port`?'],
])('%j says what to name', async (argv, message) => {
  const { code, err } = await command(...argv);
  expect([code, err]).toEqual([2, expect.stringContaining(message)]);
});
