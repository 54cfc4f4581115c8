import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openByteSource, openCheckpoint, openSafetensors, readGguf } from '@qdylora/checkpoint';
import { createHostBackend, QdyloraError } from '@qdylora/contract';
import { lockFolder } from '@qdylora/trainer';
import { describe, expect, it } from 'vitest';
import {
  temporaryPlace,
  TINY_CONFIG,
  writeTinyModel,
  writeTinyRows,
  writeTinyTokenizer,
} from '../../test/tiny-model.ts';
import {
  evaluate,
  exportAdapter,
  finetune,
  mergeAdapter,
  quantizeFolder,
  type FinetuneEvent,
  type FinetuneOptions,
} from '../index.ts';

const folder = temporaryPlace();
const model = writeTinyModel(folder.in('model'));
const rows = writeTinyRows(folder.in('rows.jsonl'));

const common = {
  model,
  dataset: rows,
  valSetSize: 4,
  ranks: [1, 2, 4],
  backend: 'host',
  quantization: 'none',
  microBatchSize: 2,
  learningRate: 2e-2,
  maxSteps: 6,
  saveSteps: 2,
} as const;
const judged = { model, dataset: rows, backend: 'host', quantization: 'none' } as const;

async function run(options: FinetuneOptions): Promise<FinetuneEvent[]> {
  const events: FinetuneEvent[] = [];
  for await (const event of finetune(options)) events.push(event);
  return events;
}

async function rejection(work: () => Promise<unknown>): Promise<QdyloraError> {
  try {
    await work();
  } catch (error) {
    return error as QdyloraError;
  }
  throw new Error('expected an error, got none');
}

const bytesOf = (path: string): string[] =>
  readdirSync(path)
    .sort()
    .map((name) => readFileSync(join(path, name)).toString('base64'));
const stepsIn = (path: string): number[] =>
  readFileSync(join(path, 'events.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; step: number })
    .filter(({ type }) => type === 'step')
    .map(({ step }) => step);

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
              /gradient_checkpointing 100GiB: the first 0 of \d+ layers run again/,
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
      ).toMatch(/gradient_checkpointing\] expected at least \d+ MiB/);
      expect(
        (
          await rejection(() =>
            run({ ...common, gradientCheckpointing: 'most' as never, outputDir: folder.in('again-most') }),
          )
        ).message,
      ).toMatch(/expected true, false, a number of layers/);
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
      'rank',
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

  it('ends in the same bytes when it is stopped and resumed, and logs each step once', async () => {
    const outputDir = folder.in('stopped');
    const controller = new AbortController();
    const stopped = finetune({ ...common, outputDir, signal: controller.signal });
    const reason = await rejection(async () => {
      for await (const event of stopped) if (event.type === 'step' && event.step === 3) controller.abort();
    });
    expect([reason.code, existsSync(folder.in('stopped/adapter'))]).toEqual(['ABORTED', false]);
    // a line that a crash has cut short
    appendFileSync(folder.in('stopped/events.jsonl'), '{"type":"step","step":4,"lo');
    expect((await rejection(() => run({ ...common, outputDir }))).code).toBe('NOT_EMPTY');
    await run({ ...common, outputDir, resumeFromCheckpoint: 'auto' });
    expect(bytesOf(folder.in('stopped/adapter'))).toEqual(bytesOf(folder.in('first/adapter')));
    expect(stepsIn(outputDir)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it(
    'says, wherever it is stopped, what is written by then and how to go on, and that leads to the same ' +
      'bytes',
    async () => {
      // so that the other ranks are judged after the last step
      const own = { ...common, evalRanks: [1] } as const;
      const stopped = async (outputDir: string, at: string): Promise<QdyloraError> => {
        const controller = new AbortController();
        const onSave = ({ step }: { step: number }): void => {
          if (at === 'last save' && step === 6) controller.abort();
        };
        const started = finetune({ ...own, outputDir, onSave, signal: controller.signal });
        return rejection(async () => {
          for await (const event of started) if (event.type === at) controller.abort();
        });
      };
      await run({ ...own, outputDir: folder.in('never stopped') });
      for (const [at, says, isThere] of [
        ['phase', 'Nothing was written: begin again with the same command.', false],
        ['plan', 'No checkpoint was written: ', true],
        ['step', 'Go on from ', true],
        ['last save', 'What it learned is in ', true],
      ] as const) {
        const outputDir = folder.in(`stopped at ${at}`);
        const { code, nextStep } = await stopped(outputDir, at);
        expect([at, code, nextStep, existsSync(outputDir)]).toEqual([
          at,
          'ABORTED',
          expect.stringContaining(says),
          isThere,
        ]);
        await run({ ...own, outputDir, resumeFromCheckpoint: isThere ? 'auto' : undefined });
        expect(bytesOf(join(outputDir, 'adapter'))).toEqual(bytesOf(folder.in('never stopped/adapter')));
      }
    },
  );

  it(
    'judges a chosen few ranks between steps and all at the end, and keeps the curve of the best rank in ' +
      'the report, also over a resume',
    async () => {
      const few = { ...common, evalRanks: [1, 4], evalSteps: 2, outputDir: folder.in('few') } as const;
      const controller = new AbortController();
      const stopped = finetune({ ...few, signal: controller.signal });
      await rejection(async () => {
        for await (const event of stopped) if (event.type === 'step' && event.step === 3) controller.abort();
      });
      const events = await run({ ...few, resumeFromCheckpoint: 'auto' });
      const all = await run({ ...common, evalSteps: 2, outputDir: folder.in('few-all') });
      const last = events.at(-1)!;
      const curve = (of: FinetuneEvent[]) => of.flatMap((event) => (event.type === 'eval' ? [event] : []));
      expect(curve(events).map(({ step, byRank }) => [step, byRank.map(({ rank }) => rank)])).toEqual([
        [4, [1, 4]],
        [6, [1, 4]],
      ]);
      if (last.type !== 'report') throw new Error('expected a report');
      expect(last.report.ranks.map(({ rank }) => rank)).toEqual([1, 2, 4]);
      expect(last.report.evaluations.map(({ step }) => step)).toEqual([2, 4, 6]);
      for (const [i, { byRank, bestRank, aurac }] of last.report.evaluations.entries()) {
        const whole = curve(all)[i]!.byRank;
        const [one, four] = [whole[0]!.loss, whole[2]!.loss];
        expect([byRank, bestRank]).toEqual([
          [
            { rank: 1, loss: one },
            { rank: 4, loss: four },
          ],
          one <= four ? 1 : 4,
        ]); // the same losses as among all ranks
        // two ranks: the mean of their gains
        expect(aurac).toBeCloseTo(last.report.base!.loss - (one + four) / 2, 12);
      }
      expect(JSON.parse(readFileSync(folder.in('few/report.json'), 'utf8'))).toMatchObject({
        evaluations: [{ step: 2 }, { step: 4 }, { step: 6 }],
        stopped_by: null,
      });
      expect(readFileSync(folder.in('few/report.html'), 'utf8')).toContain('Best rank:');
    },
  );

  it('says where every step has learning rate 0, as the only step of a warm-up has', async () => {
    const noticesOf = async (options: Partial<FinetuneOptions>): Promise<string> =>
      (await run({ ...common, ...options } as FinetuneOptions))
        .flatMap((event) => (event.type === 'notice' ? [event.message] : []))
        .join();
    expect(await noticesOf({ maxSteps: 1, outputDir: folder.in('no-rate') })).toMatch(
      /Every one of the 1 step has learning rate 0.*warmup_steps: 0/,
    );
    expect(await noticesOf({ maxSteps: 1, warmupSteps: 0, outputDir: folder.in('some-rate') })).not.toMatch(
      /learning rate 0/,
    );
    expect(await noticesOf({ maxSteps: 2, outputDir: folder.in('late-rate') })).not.toMatch(
      /learning rate 0|warm-up/,
    );
    expect(await noticesOf({ maxSteps: 2, warmupSteps: 100, outputDir: folder.in('slow-rate') })).toMatch(
      /warm-up of 100 steps is not over when the run of 2 steps ends/,
    );
    expect(
      await noticesOf({
        maxSteps: 2,
        warmupSteps: 1,
        lrScheduler: 'constant',
        outputDir: folder.in('flat-rate'),
      }),
    ).toMatch(/lr_scheduler constant has no warm-up, so warmup_steps 1 does nothing/);
    expect(
      await noticesOf({
        maxSteps: 2,
        warmupRatio: 0.5,
        lrScheduler: 'constant',
        outputDir: folder.in('flat-share'),
      }),
    ).toMatch(/lr_scheduler constant has no warm-up, so warmup_ratio 0\.5 does nothing/);
    expect(
      await noticesOf({ maxSteps: 2, lrScheduler: 'constant', outputDir: folder.in('flat-default') }),
    ).not.toMatch(/warm-up/);
    expect(
      await rejection(() =>
        noticesOf({ maxSteps: undefined, numEpochs: 1e300, outputDir: folder.in('no-end') }),
      ),
    ).toMatchObject({
      code: 'BAD_CONFIG',
      where: 'num_epochs',
      message: expect.stringMatching(/expected at most 2\^53 steps, got 1e\+300 times/) as string,
    });
  });

  it(
    'says that completion_only_loss has no say in rows of tokens to those who set it only, and goes on ' +
      'whether it was set or left out',
    async () => {
      const outputDir = folder.in('completions');
      const again = { ...common, outputDir, resumeFromCheckpoint: 'auto' } as const;
      const said = 'completion_only_loss has no say';
      const noticesOf = async (options: FinetuneOptions): Promise<string> =>
        (await run(options))
          .flatMap((event) =>
            event.type === 'ready' ? event.data.report.notes : event.type === 'notice' ? [event.message] : [],
          )
          .join();
      expect(await noticesOf({ ...again, maxSteps: 2 })).not.toContain(said);
      expect(await noticesOf({ ...again, completionOnlyLoss: true, maxSteps: 2 })).toContain(said);
      expect(await rejection(() => run({ ...again, completionOnlyLoss: false, maxSteps: 2 }))).toMatchObject({
        code: 'BAD_RESUME',
        message: expect.stringMatching(/got completion_only_loss false instead of true/) as string,
      });
    },
  );

  it('says where val_set_size chooses only rows with nothing to predict', async () => {
    const dataset = folder.in('mostly-hollow.jsonl');
    const hollow = Array.from({ length: 60 }, (_, i) => ({
      input_ids: [3 + i, 4, 5],
      labels: [-100, -100, -100],
    }));
    writeFileSync(
      dataset,
      [...hollow, { input_ids: [3, 4, 5] }, { input_ids: [6, 7, 8] }]
        .map((row) => JSON.stringify(row))
        .join('\n'),
    );
    const notices = (
      await run({
        ...common,
        dataset,
        streaming: true,
        valSetSize: 1,
        maxSteps: 1,
        outputDir: folder.in('hollow-held-out'),
      })
    )
      .flatMap((event) => (event.type === 'notice' ? [event.message] : []))
      .join();
    expect(notices).toMatch(
      /Nothing is held out: val_set_size 1 chooses no row here that has something to predict/,
    );
  });

  it(
    'refuses to go on with another chat template, whose tokens are others, though rows and weights are ' +
      'the same',
    async () => {
      const outputDir = folder.in('other-template');
      const model = writeTinyModel(folder.in('templated'), { tokenizer: true });
      const chats = folder.in('chats.jsonl');
      const config = join(model, 'tokenizer_config.json');
      const was = readFileSync(config, 'utf8');
      writeFileSync(
        chats,
        Array.from({ length: 8 }, (_, i) =>
          JSON.stringify({
            messages: [
              { role: 'user', content: `q${i}` },
              { role: 'assistant', content: `answer ${i}` },
            ],
          }),
        ).join('\n'),
      );
      const again = {
        ...common,
        model,
        dataset: chats,
        valSetSize: 0,
        maxSteps: 2,
        outputDir,
        resumeFromCheckpoint: 'auto',
      } as const;
      await run(again);
      writeFileSync(config, was.replace('m.role[0]', 'm.role[1]'));
      for (const streaming of [false, true])
        expect(await rejection(() => run({ ...again, streaming }))).toMatchObject({
          code: 'BAD_RESUME',
          message: expect.stringMatching(/got training_tokens_hash "[0-9a-f]{12}…" instead of/) as string,
        });
      writeFileSync(config, was);
      for (const streaming of [false, true]) await run({ ...again, streaming });
    },
  );

  it(
    'refuses to go on over other rows, or the same in another order, and a checkpoint that is not there ' +
      'before it loads anything',
    async () => {
      const outputDir = folder.in('other-rows');
      const lines = readFileSync(rows, 'utf8').trim().split('\n');
      const other = folder.in('other-order.jsonl');
      await run({ ...common, maxSteps: 2, outputDir });
      writeFileSync(other, [...lines].reverse().join('\n'));
      rmSync(join(outputDir, 'run.yaml')); // it is written again
      const again = { ...common, maxSteps: 2, outputDir, resumeFromCheckpoint: 'auto' } as const;
      for (const streaming of [false, true]) {
        expect(await rejection(() => run({ ...again, dataset: other, streaming }))).toMatchObject({
          code: 'BAD_RESUME',
          message: expect.stringMatching(
            /got training_rows_hash "[0-9a-f]{12}…" instead of "[0-9a-f]{12}…"/,
          ) as string,
        });
        await run({ ...again, streaming });
      }
      for (const where of [
        folder.in('nowhere'),
        other,
        folder.in('first'),
        folder.in('first/checkpoints'),
        folder.in('first/adapter'),
      ])
        expect(
          await rejection(() => run({ ...again, model: folder.in('no-model'), resumeFromCheckpoint: where })),
        ).toMatchObject({ code: 'MISSING_FILE', where: 'resume_from_checkpoint', details: { path: where } });
      expect(
        await rejection(() => run({ ...common, model: folder.in('no-model'), outputDir: `${other}/run` })),
      ).toMatchObject({ code: 'WRITE_FAILED', where: 'output_dir', details: { code: 'ENOTDIR' } });
    },
  );

  it('stops early on one rank or on AURAC, and says so', async () => {
    for (const [name, earlyStopping] of [
      ['by-rank', 4],
      ['by-area', 'aurac'],
    ] as const) {
      const last = (
        await run({
          ...common,
          maxSteps: 40,
          evalSteps: 1,
          saveSteps: 0,
          learningRate: 1e-9,
          earlyStopping,
          earlyStoppingPatience: 2,
          earlyStoppingMinDelta: 0.1,
          outputDir: folder.in(name),
        })
      ).at(-1)!;
      expect(
        last.type === 'report' && [last.report.steps, last.report.stoppedBy, last.report.evaluations.length],
      ).toEqual([3, 'early_stopping', 3]);
      expect(readdirSync(folder.in(`${name}/checkpoints`))).toEqual(['step-3']);
    }
  });

  it(
    'ends in the same bytes from streamed rows as from rows in memory, plainly, mixed by weights, packed ' +
      'and grouped by length, also when it is stopped and resumed',
    async () => {
      const mixed = {
        dataset: [rows, writeTinyRows(folder.in('more-rows.jsonl'), 5)],
        datasetWeights: [0.5, 2],
      };
      for (const [name, change] of Object.entries({
        plain: {},
        mixed,
        packed: { packing: true, maxSeqLength: 32 },
        grouped: { groupByLength: true },
      })) {
        const streamed = folder.in(`streamed-${name}`);
        const controller = new AbortController();
        const stopped = finetune({
          ...common,
          ...change,
          streaming: true,
          outputDir: streamed,
          signal: controller.signal,
        });
        await rejection(async () => {
          for await (const event of stopped)
            if (event.type === 'step' && event.step === 3) controller.abort();
        });
        await run({
          ...common,
          ...change,
          streaming: true,
          outputDir: streamed,
          resumeFromCheckpoint: 'auto',
        });
        await run({ ...common, ...change, streaming: false, outputDir: folder.in(`in-memory-${name}`) });
        expect(bytesOf(folder.in(`streamed-${name}/adapter`)), name).toEqual(
          bytesOf(folder.in(`in-memory-${name}/adapter`)),
        );
      }
    },
  );

  it('skips bad rows where asked, says so, and refuses packing together with group_by_length', async () => {
    const odd = folder.in('odd-rows.jsonl');
    writeFileSync(odd, `{"input_ids":[1,\n${readFileSync(rows, 'utf8')}`);
    expect(
      await rejection(() => run({ ...common, dataset: odd, outputDir: folder.in('odd') })),
    ).toMatchObject({ code: 'BAD_DATA', where: `${odd}:1` });
    const events = await run({ ...common, dataset: odd, onBadRow: 'skip', outputDir: folder.in('odd') });
    const ready = events.find(({ type }) => type === 'ready');
    expect(ready?.type === 'ready' && ready.data.report.skipped).toBe(1);
    expect(events.flatMap((event) => (event.type === 'notice' ? [event.message] : [])).join('\n')).toMatch(
      /1 row could not be used and was skipped/,
    );
    const empty = folder.in('no-rows.jsonl');
    const noticesOf = (all: typeof events): string[] =>
      all.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
    writeFileSync(empty, '');
    const { valSetSize: _, ...judged } = common;
    const also = await run({
      ...judged,
      dataset: [rows, rows, empty],
      evalDataset: [odd, rows],
      onBadRow: 'skip',
      outputDir: folder.in('told'),
    });
    expect(noticesOf(also)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^eval_dataset: .* is also in dataset/),
        `1 file has no rows and was passed over: ${empty}`,
        expect.stringMatching(/^Named more than once.*\(2 times\)/),
        expect.stringMatching(/^eval_dataset: 1 row could not be used and was skipped/),
      ]),
    );
    expect(
      (
        await rejection(() =>
          run({ ...common, packing: true, groupByLength: true, outputDir: folder.in('both') }),
        )
      ).message,
    ).toMatch(/\[group_by_length\] expected packing or group_by_length, got both/);
  });

  it('profiles where asked: the same adapter, every op with its rate, and a trace that Chrome reads', async () => {
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
  });

  it('refuses to resume with another learning rate', async () => {
    const error = await rejection(() =>
      run({ ...common, outputDir: folder.in('stopped'), resumeFromCheckpoint: 'auto', learningRate: 1e-3 }),
    );
    expect([error.code, error.message]).toEqual(['BAD_RESUME', expect.stringMatching(/learning_rate/)]);
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
    expect(ready).toMatchObject({ config: { ranks: [1, 2, 4], loraScaling: 'sqrt', loraAlpha: 8 } });
  });

  it('trains a whole model from random weights, and writes it as a Hugging Face folder', async () => {
    mkdirSync(folder.in('init'));
    writeFileSync(folder.in('init/config.json'), JSON.stringify(TINY_CONFIG));
    writeTinyTokenizer(folder.in('init'));
    writeFileSync(folder.in('text.txt'), 'to be or not to be, that is the question. '.repeat(12));
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
      results[0]!.rank,
      Number.isFinite(results[0]!.loss),
      report.type === 'report' && report.report.heldOut!.loss > 0,
    ]).toEqual([0, true, true]);
    expect(
      report.type === 'report' &&
        'prompts' in report.report.samples &&
        report.report.samples.prompts[0]!.byRank.length,
    ).toBe(1);
  });
});

describe('what a run leaves behind', () => {
  it(
    'goes on from an adapter of PEFT as it is: where nothing moves, the same bytes come out, with the ' +
      'weights that it holds whole',
    async () => {
      const fixture = fileURLToPath(
        new URL('../../../checkpoint/fixtures/peft/adapters/modules-to-save', import.meta.url),
      );
      const own = {
        num_hidden_layers: 2,
        hidden_size: 64,
        vocab_size: 128,
        num_attention_heads: 8,
        num_key_value_heads: 4,
        tie_word_embeddings: false,
      };
      const base = writeTinyModel(folder.in('wider'), { config: own });
      const still = {
        ...common,
        ranks: undefined,
        model: base,
        adapter: fixture,
        learningRate: 1e-30,
        maxSteps: 1,
      };
      const notices = (await run({ ...still, outputDir: folder.in('from-peft') })).filter(
        ({ type }) => type === 'notice',
      );
      expect(notices).toEqual(
        expect.arrayContaining([
          expect.objectContaining({
            message: expect.stringMatching(
              /holds lm_head\.weight, model\.embed_tokens\.weight whole/,
            ) as string,
          }),
        ]),
      );
      const bytes = (path: string): string =>
        readFileSync(join(path, 'adapter_model.safetensors')).toString('base64');
      expect(bytes(folder.in('from-peft/adapter'))).toBe(bytes(fixture));
      await exportAdapter({
        adapter: folder.in('from-peft/adapter'),
        rank: 8,
        outputDir: folder.in('from-peft-r8'),
      });
      expect(bytes(folder.in('from-peft-r8'))).toBe(bytes(fixture));
      expect(
        (
          await rejection(() =>
            exportAdapter({
              adapter: fixture,
              format: 'gguf',
              model: base,
              outputDir: folder.in('from-peft-gguf'),
            }),
          )
        ).message,
      ).toMatch(/also holds lm_head\.weight/);
      const { difference } = await mergeAdapter({
        model: base,
        adapter: fixture,
        dtype: 'f32',
        quantization: 'none',
        backend: 'host',
        outputDir: folder.in('from-peft-merged'),
      });
      expect(difference!.largest).toBeLessThan(1e-4);
      using merged = await openCheckpoint(folder.in('from-peft-merged'));
      using whole = openSafetensors(join(fixture, 'adapter_model.safetensors'));
      expect([...merged.tensors.get('lm_head.weight')!.readFloat32()]).toEqual([
        ...whole.tensors.get('base_model.model.lm_head.weight')!.readFloat32(),
      ]);
    },
  );

  it('says the same through adapter, export and merge, at the same rank', async () => {
    const adapter = folder.in('first/adapter');
    const { results } = await evaluate({ ...judged, adapter, ranks: [2, 4] });
    await exportAdapter({ adapter, rank: 2, outputDir: folder.in('r2') });
    await mergeAdapter({
      model,
      adapter,
      rank: 2,
      dtype: 'f32',
      backend: 'host',
      outputDir: folder.in('merged'),
    });
    const exported = await evaluate({ ...judged, adapter: folder.in('r2'), ranks: [2] });
    const merged = await evaluate({ ...judged, model: folder.in('merged') });
    expect(results.map(({ rank }) => rank)).toEqual([2, 4]);
    expect(exported.results[0]!.loss).toBe(results[0]!.loss);
    expect(merged.results[0]!.loss).toBeCloseTo(results[0]!.loss, 5);
  });

  it(
    'merges into every type and format, opens the result, and says how far it is from the base with its ' +
      'adapter',
    async () => {
      const adapter = folder.in('first/adapter');
      const merge = (
        format: 'safetensors' | 'gguf',
        dtype: 'f32' | 'bf16' | 'f16' | 'q8_0' | 'nf4',
        name: string,
      ) => mergeAdapter({ model, adapter, format, dtype, backend: 'host', outputDir: folder.in(name) });
      const exact = await merge('gguf', 'f32', 'as-gguf');
      const half = await merge('safetensors', 'f16', 'as-f16');
      const eight = await merge('gguf', 'q8_0', 'as-q8');
      const packed = await merge('safetensors', 'nf4', 'as-nf4');
      expect([
        exact.difference!.largest < 1e-5,
        exact.difference!.tokens,
        exact.difference!.agreement,
        exact.packingError,
      ]).toEqual([true, 48, 1, null]);
      expect(half.difference!.largest).toBeGreaterThan(exact.difference!.largest);
      expect(half.difference!.largest).toBeLessThan(packed.difference!.largest);
      // rows of 16 and 24 are no multiples of 32: they are F16
      expect(eight.difference!.largest).toBeLessThan(0.1);
      // NF4 of normal weights is off by about 9 %
      expect([packed.packingError! > 0.03, packed.packingError! < 0.15]).toEqual([true, true]);
      expect(readdirSync(folder.in('as-gguf')).sort()).toEqual(['manifest.json', 'model.gguf']);
      const merged = await evaluate({ ...judged, model: folder.in('as-gguf') });
      const { results } = await evaluate({ ...judged, adapter, ranks: [4] });
      expect(merged.results[0]!.loss).toBeCloseTo(results[0]!.loss, 5);
      expect((await rejection(() => merge('gguf', 'nf4', 'never'))).code).toBe('BAD_CONFIG');
      expect(
        (await rejection(() => mergeAdapter({ model: 'nowhere', adapter, outputDir: folder.in('as-f16') })))
          .code,
      ).toBe('NOT_EMPTY'); // said first
    },
  );

  it('exports as GGUF with the scale of its rank, and needs the base for that', async () => {
    const adapter = folder.in('first/adapter');
    await exportAdapter({ adapter, rank: 2, format: 'gguf', model, outputDir: folder.in('r2-gguf') });
    const source = openByteSource(folder.in('r2-gguf/adapter.gguf'), 'gguf');
    const { metadata, tensors } = readGguf(source);
    source.close();
    expect(Object.fromEntries(metadata)).toMatchObject({
      'general.architecture': 'llama',
      'general.type': 'adapter',
      'adapter.type': 'lora',
      'adapter.lora.alpha': Math.fround((8 / Math.sqrt(2)) * 2),
    }); // llama.cpp divides by the rank
    expect(tensors.get('blk.0.attn_q.weight.lora_a')!.shape).toEqual([2, 16]);
    expect(tensors.get('blk.0.attn_q.weight.lora_b')!.shape).toEqual([16, 2]);
    expect(
      (
        await rejection(() =>
          exportAdapter({ adapter, rank: 2, format: 'gguf', outputDir: folder.in('never') }),
        )
      ).code,
    ).toBe('BAD_CONFIG');
  });

  it('is an ordinary LoRA adapter to a reader that does not know the sidecar', async () => {
    const bare = folder.in('bare');
    mkdirSync(bare);
    for (const name of ['adapter_config.json', 'adapter_model.safetensors'])
      writeFileSync(join(bare, name), readFileSync(folder.in(`first/adapter/${name}`)));
    const whole = await evaluate({ ...judged, adapter: folder.in('first/adapter'), ranks: [4] });
    const read = await evaluate({ ...judged, adapter: bare });
    expect(read.results.map(({ rank }) => rank)).toEqual([4]);
    expect(read.results[0]!.loss).toBeCloseTo(whole.results[0]!.loss, 5);
    expect((await rejection(() => evaluate({ ...judged, adapter: bare, ranks: [2] }))).code).toBe(
      'BAD_ADAPTER',
    );
  });

  it('has no path, time or host in the adapter', () => {
    for (const name of ['adapter_config.json', 'qdylora.json'])
      expect(readFileSync(folder.in(`first/adapter/${name}`), 'utf8')).not.toMatch(/\/|20\d\d-/);
  });

  it('is refused around a model of other shapes, and only warned about around other weights', async () => {
    const narrow = writeTinyModel(folder.in('narrow'), { config: { intermediate_size: 20 } });
    const other = writeTinyModel(folder.in('other'), { seed: 6 });
    const notices: string[] = [];
    const adapter = folder.in('first/adapter');
    expect((await rejection(() => evaluate({ ...judged, model: narrow, adapter }))).code).toBe('BAD_ADAPTER');
    await evaluate({
      ...judged,
      model: other,
      adapter,
      ranks: [1],
      onNotice: (message) => notices.push(message),
    });
    expect(notices).toEqual([expect.stringMatching(/model \(fingerprint .*other/)]);
  });

  it.each([0, 5])('has no rank %i', async (rank) => {
    expect(
      (
        await rejection(() =>
          exportAdapter({ adapter: folder.in('first/adapter'), rank, outputDir: folder.in('never') }),
        )
      ).code,
    ).toBe('BAD_ARGUMENT');
    expect(existsSync(folder.in('never'))).toBe(false);
  });
});

describe('quantizeFolder', () => {
  it('writes what an evaluation of the quantized original says', async () => {
    const { layers } = await quantizeFolder({ model, outputDir: folder.in('nf4'), backend: 'host' });
    const packed = await evaluate({ ...judged, model: folder.in('nf4'), quantization: 'nf4' });
    const original = await evaluate({ ...judged, quantization: 'nf4' });
    expect([layers, packed.results]).toEqual([7, original.results]);
    using file = openSafetensors(folder.in('nf4/model.safetensors'));
    expect([...file.tensors.keys()]).toContain(
      'model.layers.0.mlp.up_proj.weight.quant_state.bitsandbytes__nf4',
    );
  });

  it(
    'goes on after the last finished file when it was stopped, and writes the same bytes, in files with ' +
      'an index',
    async () => {
      const whole = folder.in('nf4-shards');
      const again = folder.in('nf4-again');
      const options = { model, backend: 'host', shardBytes: 3000 } as const;
      const controller = new AbortController();
      await quantizeFolder({ ...options, outputDir: whole });
      await rejection(() =>
        quantizeFolder({
          ...options,
          outputDir: again,
          signal: controller.signal,
          onProgress: ({ done }) => {
            if (done === 4) controller.abort();
          },
        }),
      );
      const left = readdirSync(`${again}.partial`).filter((name) => name.startsWith('shard-'));
      expect([left.length > 0, existsSync(again)]).toEqual([true, false]);
      const times = left.map((name) => statSync(join(`${again}.partial`, name)).mtimeMs);
      const seen: number[] = [];
      await quantizeFolder({ ...options, outputDir: again, onProgress: ({ done }) => seen.push(done) });
      expect(bytesOf(again)).toEqual(bytesOf(whole));
      expect([existsSync(`${again}.partial`), seen.at(-1), readdirSync(again).length > 4]).toEqual([
        false,
        7,
        true,
      ]);
      const written = readdirSync(again)
        .filter((name) => name.endsWith('.safetensors'))
        .map((name) => statSync(join(again, name)).mtimeMs);
      for (const time of times) expect(written).toContain(time); // these were not made again
      const { results } = await evaluate({ ...judged, model: again, quantization: 'nf4' });
      expect(results).toEqual((await evaluate({ ...judged, quantization: 'nf4' })).results);
    },
  );

  it('begins anew for other settings, and leaves a folder of somebody else alone', async () => {
    const outputDir = folder.in('nf4-other');
    const controller = new AbortController();
    const options = { model, backend: 'host', shardBytes: 3000, outputDir } as const;
    await rejection(() =>
      quantizeFolder({
        ...options,
        signal: controller.signal,
        onProgress: ({ done }) => {
          if (done === 4) controller.abort();
        },
      }),
    );
    await quantizeFolder({ ...options, quantization: 'fp4' });
    using checkpoint = await openCheckpoint(outputDir);
    expect([...checkpoint.tensors.keys()].filter((name) => name.endsWith('__fp4')).length).toBe(7);
    mkdirSync(`${folder.in('taken')}.partial`);
    writeFileSync(`${folder.in('taken')}.partial/notes.txt`, 'mine');
    expect((await rejection(() => quantizeFolder({ ...options, outputDir: folder.in('taken') }))).code).toBe(
      'NOT_EMPTY',
    );
  });

  it('a folder that is there is refused before anything is packed', async () => {
    const outputDir = folder.in('nf4-there');
    mkdirSync(outputDir);
    writeFileSync(join(outputDir, 'notes.txt'), 'mine');
    let packed = 0;
    expect(
      (
        await rejection(() =>
          quantizeFolder({
            model,
            backend: 'host',
            outputDir,
            onProgress: () => {
              packed++;
            },
          }),
        )
      ).code,
    ).toBe('NOT_EMPTY');
    expect([packed, existsSync(`${outputDir}.partial`), readdirSync(outputDir)]).toEqual([
      0,
      false,
      ['notes.txt'],
    ]);
  });

  it('refuses a model that is quantized already', async () => {
    expect(
      (
        await rejection(() =>
          quantizeFolder({ model: folder.in('nf4'), outputDir: folder.in('again'), backend: 'host' }),
        )
      ).code,
    ).toBe('UNSUPPORTED');
  });
});

describe('bad input', () => {
  it.each([
    ['a model that is not there', { model: 'nowhere' }, 'MISSING_FILE'],
    ['a data set that is not there', { dataset: 'nowhere.jsonl' }, 'MISSING_FILE'],
    ['both kinds of held-out rows', { evalDataset: rows }, 'BAD_CONFIG'],
    ['a checkpoint that is not there', { resumeFromCheckpoint: 'nowhere' }, 'MISSING_FILE'],
  ] as const)('%s is an error, and nothing is written', async (_, options, code) => {
    expect((await rejection(() => run({ ...common, ...options, outputDir: folder.in('bad') }))).code).toBe(
      code,
    );
    expect(existsSync(folder.in('bad')) ? readdirSync(folder.in('bad')) : []).toEqual([]);
  });

  it.each([
    ['malformed rows', '{"input_ids": [1, 2', /bad\.jsonl:1/],
    ['no rows', '', /empty/],
    ['only masked rows', '{"input_ids":[1,2,3],"labels":[-100,-100,-100]}', /masked/],
    ['ids past the vocabulary', '{"input_ids":[1,2,104]}', /bad\.jsonl:1\] expected token ids below 104/],
  ])('%s are named with file and line', async (_, text, message) => {
    writeFileSync(folder.in('bad.jsonl'), text);
    const error = await rejection(() =>
      run({ ...common, valSetSize: 0, dataset: folder.in('bad.jsonl'), outputDir: folder.in('bad') }),
    );
    expect([error.code, error.message]).toEqual(['BAD_DATA', expect.stringMatching(message)]);
  });

  it('a folder that another run writes to is left alone', async () => {
    const lock = lockFolder(folder.in('busy'));
    expect((await rejection(() => run({ ...common, outputDir: folder.in('busy') }))).code).toBe(
      'BUSY_FOLDER',
    );
    lock.release();
  });

  it('an output folder below a file cannot be written', async () => {
    expect((await rejection(() => run({ ...common, outputDir: join(rows, 'below') }))).code).toBe(
      'WRITE_FAILED',
    );
  });

  it('a cut checkpoint is told before anything is written', async () => {
    const cut = writeTinyModel(folder.in('cut'));
    const path = join(cut, 'model.safetensors');
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, whole.length - 100));
    expect((await rejection(() => run({ ...common, model: cut, outputDir: folder.in('bad') }))).code).toBe(
      'BAD_FILE',
    );
  });

  it('takes a backend of the caller, and leaves it alive', async () => {
    const backend = createHostBackend();
    await evaluate({ ...judged, backend });
    expect(backend.memory.allocate('f32', [1]).shape).toEqual([1]);
  });
});
