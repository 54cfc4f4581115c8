import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TINY_CONFIG, writeTinyTokenizer } from '../../test/tiny-model.ts';
import { bytesOf, rejection, run, stepsIn, tinyRun } from '../../test/tiny-run.ts';
import { evaluate } from '../index.ts';

const { folder, common } = tinyRun();

describe('finetune', () => {
  it('writes adapter, best adapter, checkpoints, log, resolved run and reports', async () => {
    const events = await run({ ...common, outputDir: folder.in('first') });
    const last = events.at(-1)!;
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['ready', 'plan', 'step', 'eval', 'checkpoint', 'done', 'report']),
    );
    expect(readdirSync(folder.in('first')).sort()).toEqual([
      'adapter',
      'adapter-best',
      'checkpoints',
      'events.jsonl',
      'report.html',
      'report.json',
      'run.yaml',
    ]);
    expect(readdirSync(folder.in('first/checkpoints')).sort()).toEqual(['step-4', 'step-6']);
    expect(stepsIn(folder.in('first'))).toEqual([1, 2, 3, 4, 5, 6]);
    expect(
      last.type === 'report' && [
        last.report.ranks.map(({ rank }) => rank),
        last.report.base!.loss > 0,
        last.report.samples,
      ],
    ).toEqual([[1, 2, 4], true, { missing: expect.stringMatching(/no tokenizer/) }]);
  });

  it(
    'ends in the same bytes whichever layers run again in backward: all, none, two at a time, or as few ' +
      'as some memory needs',
    async () => {
      const adapters = [];
      for (const [i, gradientCheckpointing] of [true, false, 2, '100GiB'].entries()) {
        const outputDir = folder.in(`again-${i}`);
        const events = await run({ ...common, gradientCheckpointing, outputDir });
        if (gradientCheckpointing === '100GiB')
          expect(events).toContainEqual({
            type: 'notice',
            message: expect.stringMatching(
              /gradient_checkpointing 100GiB: the first 0 of \d+ layers recomputed/,
            ) as string,
          });
        adapters.push(bytesOf(folder.in(`again-${i}/adapter`)));
      }
      for (const adapter of adapters) expect(adapter).toEqual(adapters[0]);
      expect(
        (
          await rejection(() =>
            run({ ...common, gradientCheckpointing: '1MiB', outputDir: folder.in('again-none') }),
          )
        ).message,
      ).toMatch(/gradient_checkpointing\] The run needs at least [\d.]+ [MG]B/);
      expect(
        (
          await rejection(() =>
            run({ ...common, gradientCheckpointing: 'most' as never, outputDir: folder.in('again-most') }),
          )
        ).message,
      ).toMatch(/must be true, false, a number of layers/);
    },
  );

  it('logs each step with the fields of the contract, and no others', () => {
    const step = readFileSync(folder.in('first/events.jsonl'), 'utf8')
      .split('\n')
      .map((line) => (line ? (JSON.parse(line) as Record<string, unknown>) : {}))
      .find(({ type }) => type === 'step')!;
    expect(Object.keys(step)).toEqual([
      'type',
      'step',
      'epoch',
      'loss',
      'smoothed_loss',
      'rank',
      'ranks',
      'learning_rate',
      'grad_norm',
      'tokens',
      'tokens_per_second',
      'step_seconds',
      'resident_bytes',
      'optimizer_resident_bytes',
      'optimizer_paged_bytes',
      'page_ins',
      'page_wait_seconds',
    ]);
  });

  it('profiles to the same adapter, every op with its rate, and a trace that Chrome reads', async () => {
    const events = await run({ ...common, outputDir: folder.in('profiled'), profile: true });
    const profile = events.find((event) => event.type === 'profile')!;
    expect(bytesOf(folder.in('profiled/adapter'))).toEqual(bytesOf(folder.in('first/adapter')));
    if (profile.type !== 'profile') throw new Error('expected a profile');
    expect([profile.steps, profile.ceilings, profile.file]).toEqual([
      6,
      null,
      folder.in('profiled/profile.json'),
    ]);
    const linear = profile.rows
      .flatMap(({ op, shapes, gbps, fraction }) =>
        /^adapted-linear(-group)?$/.test(op) ? [`${shapes} ${gbps} ${fraction}`] : [],
      )
      .sort();
    expect(linear).toEqual(
      ['[16 + 8 + 8, 16]', '[16, 16]', '[16, 24]', '[24 + 24, 16]'].map((shapes) => `${shapes} null null`),
    );
    expect(profile.rows.find(({ op }) => op === 'add')).toMatchObject({ gflops: null });
    expect(profile.rows.reduce((sum, { share }) => sum + share, profile.outside)).toBeCloseTo(1, 9);
    const { traceEvents } = JSON.parse(readFileSync(profile.file, 'utf8')) as {
      traceEvents: { name: string; ph: string; dur: number }[];
    };
    // judging is no step: its calls are not in it
    expect(traceEvents.length).toBe(profile.rows.reduce((sum, { calls }) => sum + calls, 0));
    expect(traceEvents.every(({ ph, dur }) => ph === 'X' && dur >= 0)).toBe(true);
    // a resumed run that has ended takes no step, and keeps its trace
    const trace = readFileSync(profile.file, 'utf8');
    const resumed = { ...common, outputDir: folder.in('profiled'), profile: true };
    const further = await run({ ...resumed, resumeFromCheckpoint: 'auto' });
    expect(further.some(({ type }) => type === 'profile' || type === 'step')).toBe(false);
    expect(readFileSync(profile.file, 'utf8')).toBe(trace);
  });

  it('goes on from an adapter with its ranks and scale', async () => {
    const [ready] = (
      await run({
        ...common,
        ranks: undefined,
        adapter: folder.in('first/adapter'),
        outputDir: folder.in('further'),
        maxSteps: 1,
      })
    ).filter(({ type }) => type === 'ready');
    expect(ready).toMatchObject({ config: { ranks: [1, 2, 4], loraScaling: 'tapered', loraAlpha: 8 } });
  });

  it('trains a whole model from random weights, and writes it as a Hugging Face folder', async () => {
    mkdirSync(folder.in('init'));
    writeFileSync(folder.in('init/config.json'), JSON.stringify(TINY_CONFIG));
    writeTinyTokenizer(folder.in('init'));
    const squares = Array.from({ length: 120 }, (_, i) => i * i);
    writeFileSync(folder.in('text.txt'), squares.join(' '));
    const outputDir = folder.in('whole');
    const options = {
      init: folder.in('init/config.json'),
      method: 'none',
      dataset: folder.in('text.txt'),
      maxSeqLength: 24,
      valSetSize: 3,
      outputDir,
      maxSteps: 3,
      backend: 'host',
      saveDtype: 'f32',
      saveSteps: 0,
    } as const;
    const events = await run(options);
    const report = events.at(-1)!;
    expect(readdirSync(folder.in('whole/model')).sort()).toEqual([
      'config.json',
      'manifest.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const { results } = await evaluate({
      model: folder.in('whole/model'),
      dataset: folder.in('text.txt'),
      maxSeqLength: 24,
      quantization: 'none',
      backend: 'host',
    });
    expect([
      results[0].rank,
      Number.isFinite(results[0].loss),
      report.type === 'report' && report.report.heldOut!.loss > 0,
    ]).toEqual([null, true, true]);
    const written = JSON.parse(readFileSync(folder.in('whole/report.json'), 'utf8')) as Record<
      string,
      number
    >;
    expect(Object.keys(written.held_out)).toEqual(['loss', 'perplexity', 'standard_error']);
    expect(written.held_out_examples).toBe(3);
    expect(written.held_out_tokens).toBeGreaterThan(3);
    expect(
      report.type === 'report' &&
        'prompts' in report.report.samples &&
        report.report.samples.prompts[0].byRank.length,
    ).toBe(1);
  });

  it('shortens its sample text where the model has no position for more tokens', async () => {
    mkdirSync(folder.in('short'));
    const config = {
      model_type: 'gpt2',
      n_embd: 16,
      n_layer: 1,
      n_head: 2,
      n_positions: 24,
      vocab_size: 104,
    };
    writeFileSync(folder.in('short/config.json'), JSON.stringify({ ...config, eos_token_id: 103 }));
    writeTinyTokenizer(folder.in('short'));
    writeFileSync(folder.in('short.txt'), 'to be or not to be, that is the question. '.repeat(12));
    const events = await run({
      init: folder.in('short/config.json'),
      method: 'none',
      dataset: folder.in('short.txt'),
      maxSeqLength: 24,
      outputDir: folder.in('short-run'),
      maxSteps: 1,
      backend: 'host',
      saveSteps: 0,
    });
    const { report } = events.at(-1) as Extract<(typeof events)[number], { type: 'report' }>;
    expect(report.samples).toMatchObject({ prompts: [{ byRank: [{ rank: null }] }] });
  });
});
