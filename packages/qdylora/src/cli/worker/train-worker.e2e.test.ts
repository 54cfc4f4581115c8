import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { finetune } from '../../index.ts';

const bin = fileURLToPath(new URL('../../../bin/qdylora.js', import.meta.url)), isBuilt = existsSync(new URL('../../../dist/train-worker.js', import.meta.url));
const folder = temporaryPlace();

interface Ended { readonly code: number | null; readonly out: string; readonly err: string; readonly seconds: number }

/** Runs the built command; `interrupts` are sent one after the other, each when the standard error first matches. */
function command(argv: readonly string[], interrupts: readonly RegExp[] = []): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] }), waiting = [...interrupts], start = performance.now();
  let out = '', err = '';
  child.stdout.on('data', (text: Buffer) => { out += String(text); });
  child.stderr.on('data', (text: Buffer) => {
    err += String(text);
    if (waiting[0]?.test(err)) { waiting.shift(); child.kill('SIGINT'); }
  });
  return new Promise((resolve) => { child.on('close', (code) => resolve({ code, out, err, seconds: (performance.now() - start) / 1000 })); });
}

describe('the training thread', () => {
  const model = writeTinyModel(folder.in('model')), rows = writeTinyRows(folder.in('rows.jsonl'));
  const words = (outputDir: string, steps: number): string[] => [
    'train', '--model', model, '--dataset', rows, '--val-set-size', '4', '--ranks', '1,2', '--backend', 'host', '--micro-batch-size', '2', '--max-steps', String(steps), '--output-dir', outputDir,
  ];

  it('computes what the library computes, and reports errors as the library throws them', async ({ skip }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    const ended = await command([...words(folder.in('thread'), 4), '--json']);
    await finetune({ model, dataset: rows, valSetSize: 4, ranks: [1, 2], backend: 'host', microBatchSize: 2, maxSteps: 4, outputDir: folder.in('here') }).result;
    expect([ended.code, (JSON.parse(ended.out) as { steps: number }).steps]).toEqual([0, 4]);
    for (const name of ['adapter_model.safetensors', 'adapter_config.json', 'qdylora.json']) expect(readFileSync(folder.in(`thread/adapter/${name}`))).toEqual(readFileSync(folder.in(`here/adapter/${name}`)));
    const again = await command(words(folder.in('thread'), 4));
    expect([again.code, again.err]).toEqual([2, expect.stringMatching(/expected an empty folder.*\nGo on with that run/)]);
  });

  it('saves on the first Ctrl-C and goes on with resume auto', async ({ skip }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    const stopped = await command(words(folder.in('stopped'), 3000), [/step +1\//]);
    expect([stopped.code, stopped.err]).toEqual([130, expect.stringMatching(/saved .*step-\d+[\s\S]*resume_from_checkpoint/)]);
    const step = Number(/saved .*step-(\d+)/.exec(stopped.err)![1]);
    const further = await command([...words(folder.in('stopped'), 3000), '--resume-from-checkpoint', 'auto'], [/step +\d+\//]);
    expect([further.code, further.err]).toEqual([130, expect.stringContaining(`step ${step} of 3000`)]);
  });
});
