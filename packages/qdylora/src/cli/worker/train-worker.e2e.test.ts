import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { temporaryPlace, writeTinyModel, writeTinyRows } from '../../../test/tiny-model.ts';
import { finetune } from '../../index.ts';

const bin = fileURLToPath(new URL('../../../bin/qdylora.js', import.meta.url));
const isBuilt = existsSync(new URL('../../../dist/train-worker.js', import.meta.url));
const folder = temporaryPlace();

interface Ended {
  readonly code: number | null;
  readonly by: NodeJS.Signals | null;
  readonly out: string;
  readonly err: string;
  readonly seconds: number;
  readonly secondsAfterSignal: number;
}
/** Sent once the standard error matches, and so many seconds later. */
interface Interrupt {
  readonly when: RegExp;
  readonly signal?: NodeJS.Signals;
  readonly after?: number;
}

/** Runs the built command; each interrupt is looked for when the one before it is sent. */
function command(
  argv: readonly string[],
  interrupts: readonly Interrupt[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...argv], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    detached: true, // in a session of its own: the tests may run under nohup
  });
  const waiting = [...interrupts];
  const start = performance.now();
  let out = '';
  let err = '';
  let lastSignal = NaN;
  child.stdout.on('data', (text: Buffer) => {
    out += String(text);
  });
  child.stderr.on('data', (text: Buffer) => {
    err += String(text);
    if (!waiting[0]?.when.test(err)) return;
    const { signal = 'SIGINT', after = 0 } = waiting.shift()!;
    setTimeout(() => {
      lastSignal = performance.now();
      child.kill(signal);
    }, after * 1000);
  });
  return new Promise((resolve) => {
    child.on('close', (code, by) =>
      resolve({
        code,
        by,
        out,
        err,
        seconds: (performance.now() - start) / 1000,
        secondsAfterSignal: (performance.now() - lastSignal) / 1000,
      }),
    );
  });
}

describe('the training thread', () => {
  const model = writeTinyModel(folder.in('model'));
  const rows = writeTinyRows(folder.in('rows.jsonl'));
  const words = (outputDir: string, steps: number): string[] => [
    'train',
    '--model',
    model,
    '--dataset',
    rows,
    '--val-set-size',
    '4',
    '--ranks',
    '1,2',
    '--backend',
    'host',
    '--micro-batch-size',
    '2',
    '--max-steps',
    String(steps),
    '--output-dir',
    outputDir,
  ];

  it('computes what the library computes, and reports errors as the library throws them', async ({
    skip,
  }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    const ended = await command([...words(folder.in('thread'), 4), '--json']);
    await finetune({
      model,
      dataset: rows,
      valSetSize: 4,
      ranks: [1, 2],
      backend: 'host',
      microBatchSize: 2,
      maxSteps: 4,
      outputDir: folder.in('here'),
    }).result;
    expect([ended.code, (JSON.parse(ended.out) as { steps: number }).steps]).toEqual([0, 4]);
    for (const name of ['adapter_model.safetensors', 'adapter_config.json', 'qdylora.json'])
      expect(readFileSync(folder.in(`thread/adapter/${name}`))).toEqual(
        readFileSync(folder.in(`here/adapter/${name}`)),
      );
    const again = await command(words(folder.in('thread'), 4));
    expect([again.code, again.err]).toEqual([
      2,
      expect.stringMatching(/already exists and is not an empty folder.*\nGo on with that run/),
    ]);
  });

  it('saves on the first Ctrl-C and goes on with resume auto', async ({ skip }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    const stopped = await command(words(folder.in('stopped'), 3000), [{ when: /step +1\// }]);
    expect([stopped.code, stopped.err]).toEqual([
      130,
      expect.stringMatching(
        /saved .*step-\d+[\s\S]*To continue:\nnpx qdylora train .*--resume-from-checkpoint auto/,
      ),
    ]);
    const step = Number(/saved .*step-(\d+)/.exec(stopped.err)![1]);
    const further = await command(
      [...words(folder.in('stopped'), 3000), '--resume-from-checkpoint', 'auto'],
      [{ when: /step +\d+\// }],
    );
    expect([further.code, further.err]).toEqual([130, expect.stringContaining(`step ${step} of 3000`)]);
  });

  it('goes on when stderr is closed, and ends silently when stdout is closed', async ({ skip }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    for (const closed of ['stderr', 'stdout'] as const) {
      const outputDir = folder.in(`closed-${closed}`);
      const child = spawn(process.execPath, [bin, ...words(outputDir, 4)], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let err = '';
      child[closed].destroy();
      if (closed === 'stdout')
        child.stderr.on('data', (text: Buffer) => {
          err += String(text);
        });
      else child.stdout.resume();
      const code = await new Promise((resolve) => {
        child.on('close', resolve);
      });
      expect([closed, code, existsSync(`${outputDir}/report.html`)]).toEqual([
        closed,
        closed === 'stderr' ? 0 : 141,
        true,
      ]);
      expect(err).not.toMatch(/EPIPE|\n +at /);
    }
  });

  it('saves where its terminal goes, unless nohup has started it', async ({ skip }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    const ended = await command(words(folder.in('hung-up'), 3000), [{ when: /step +1\//, signal: 'SIGHUP' }]);
    expect([ended.code, ended.err]).toEqual([
      130,
      expect.stringMatching(/within 8 s[\s\S]*saved .*step-\d+/),
    ]);
    const further = await command(words(folder.in('nohup'), 6), [{ when: /step +1\//, signal: 'SIGHUP' }], {
      _: '/usr/bin/nohup',
    });
    expect([further.code, further.err]).toEqual([0, expect.stringMatching(/step 6\/6/)]);
  });

  it('saves on SIGTERM too', async ({ skip }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    const ended = await command(words(folder.in('terminated'), 3000), [
      { when: /step +1\//, signal: 'SIGTERM' },
    ]);
    expect([ended.code, ended.err]).toEqual([
      130,
      expect.stringMatching(/within 8 s[\s\S]*saved .*step-\d+/),
    ]);
  });

  describe('in the middle of a pass of seconds', () => {
    const slow = writeTinyModel(folder.in('slow-model'), {
      config: { hidden_size: 128, intermediate_size: 256, num_hidden_layers: 12, head_dim: 64 },
    });
    const run = (outputDir: string): string[] => [
      ...words(outputDir, 50).map((word) => (word === model ? slow : word === '2' ? '12' : word)),
      '--val-set-size',
      '0',
    ];
    const stepSeconds = (outputDir: string): number =>
      Math.min(
        ...readFileSync(`${outputDir}/events.jsonl`, 'utf8')
          .trim()
          .split('\n')
          .flatMap((line) => (JSON.parse(line) as { step_seconds?: number }).step_seconds ?? []),
      );

    // A machine with much else to do may take as long to end a process as to compute a pass.
    const patient = { retry: 2 };

    it(
      'the first Ctrl-C is answered at once and ends the pass after the op that runs',
      patient,
      async ({ skip }) => {
        skip(!isBuilt, 'packages/qdylora/dist is not built');
        const outputDir = folder.in(`mid-${randomUUID()}`);
        const ended = await command(run(outputDir), [{ when: /step +1\//, after: 0.2 }]);
        expect([ended.code, ended.err]).toEqual([130, expect.stringMatching(/step-1\b/)]);
        expect(ended.secondsAfterSignal).toBeLessThan(0.7 * (stepSeconds(outputDir) - 0.2));
      },
    );

    it('the second leaves without waiting for anything, and the run can go on', patient, async ({ skip }) => {
      skip(!isBuilt, 'packages/qdylora/dist is not built');
      let outputDir = '';
      let ended: Ended | undefined;
      for (let i = 0; i < 5 && !ended?.by; i++) {
        // on a machine with much else to do the first has ended the run before the second comes
        outputDir = folder.in(`twice-${randomUUID()}`);
        ended = await command(
          [...run(outputDir), '--save-steps', '1'],
          [{ when: /saved .*step-1\b/, after: 0.2 }, { when: /quits at once/ }],
        );
      }
      expect(ended!.by).toBe('SIGINT');
      // most of the second pass is still to come
      expect(ended!.secondsAfterSignal).toBeLessThan(0.5 * stepSeconds(outputDir));
      const further = await command(
        [...run(outputDir), '--save-steps', '1', '--resume-from-checkpoint', 'auto'],
        [{ when: /resumed from/ }],
      );
      expect([further.code, further.err]).toEqual([130, expect.stringContaining('step 1 of 50')]);
    });
  });
});
