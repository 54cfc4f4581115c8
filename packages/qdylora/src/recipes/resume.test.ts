import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { STATE_FILE } from '@qdylora/trainer';
import { beforeAll, describe, expect, it } from 'vitest';
import { writeTinyModel } from '../../test/tiny-model.ts';
import { bytesOf, rejection, run, stepsIn, tinyRun } from '../../test/tiny-run.ts';
import { finetune, type FinetuneEvent, type FinetuneOptions } from '../index.ts';

const { folder, rows, common } = tinyRun();

/** The identity that the newest checkpoint of a run has stored. */
const stateIn = (outputDir: string): Record<string, unknown> => {
  const checkpoints = join(outputDir, 'checkpoints');
  const newest = readdirSync(checkpoints).sort().at(-1)!;
  const state = JSON.parse(readFileSync(join(checkpoints, newest, STATE_FILE), 'utf8')) as {
    readonly config: Record<string, unknown>;
  };
  return state.config;
};

beforeAll(async () => {
  await run({ ...common, outputDir: folder.in('first') });
});

describe('a resumed run', () => {
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
      const options = { ...common, evalRanks: [1] } as const;
      const stopped = async (outputDir: string, at: string): Promise<QdyloraError> => {
        const controller = new AbortController();
        const onSave = ({ step }: { step: number }): void => {
          if (at === 'last save' && step === 6) controller.abort();
        };
        const started = finetune({ ...options, outputDir, onSave, signal: controller.signal });
        return rejection(async () => {
          for await (const event of started) if (event.type === at) controller.abort();
        });
      };
      await run({ ...options, outputDir: folder.in('never stopped') });
      for (const [at, says, isThere] of [
        ['phase', 'Nothing was written. Start it again with the same command.', false],
        ['plan', 'No checkpoint was written: ', true],
        ['step', 'Resume from ', true],
        ['last save', 'The trained weights are in ', true],
      ] as const) {
        const outputDir = folder.in(`stopped at ${at}`);
        const { code, nextStep } = await stopped(outputDir, at);
        expect([at, code, nextStep, existsSync(outputDir)]).toEqual([
          at,
          'ABORTED',
          expect.stringContaining(says),
          isThere,
        ]);
        await run({ ...options, outputDir, resumeFromCheckpoint: isThere ? 'auto' : undefined });
        expect(bytesOf(join(outputDir, 'adapter'))).toEqual(bytesOf(folder.in('never stopped/adapter')));
      }
    },
  );

  it(
    'says that completion_only_loss has no effect on rows of tokens to those who set it only, and goes on ' +
      'whether it was set or left out',
    async () => {
      const outputDir = folder.in('completions');
      const again = { ...common, outputDir, resumeFromCheckpoint: 'auto' } as const;
      const note = 'completion_only_loss has no effect';
      const noticesOf = async (options: FinetuneOptions): Promise<string> =>
        (await run(options))
          .flatMap((event) =>
            event.type === 'ready' ? event.data.report.notes : event.type === 'notice' ? [event.message] : [],
          )
          .join();
      expect(await noticesOf({ ...again, maxSteps: 2 })).not.toContain(note);
      expect(await noticesOf({ ...again, completionOnlyLoss: true, maxSteps: 2 })).toContain(note);
      expect(await rejection(() => run({ ...again, completionOnlyLoss: false, maxSteps: 2 }))).toMatchObject({
        code: 'BAD_RESUME',
        message: expect.stringMatching(/: completion_only_loss false \(was true\)\./) as string,
      });
    },
  );

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
          message: expect.stringMatching(/: training_tokens_hash "[0-9a-f]{12}…" \(was/) as string,
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
            /: training_rows_hash "[0-9a-f]{12}…" \(was "[0-9a-f]{12}…"\)/,
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

  it('starts in a folder in which a kill has left a file of the first write', async () => {
    const outputDir = folder.in('killed-first');
    mkdirSync(outputDir);
    writeFileSync(join(outputDir, `run.yaml.tmp-${2 ** 30}-0123456789ab`), '');
    await run({ ...common, outputDir, maxSteps: 1, resumeFromCheckpoint: 'auto' });
    expect(readdirSync(outputDir).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it('never replaces the results of a run that it does not go on with', async () => {
    const outputDir = folder.in('ended');
    await run({ ...common, outputDir });
    const adapter = bytesOf(join(outputDir, 'adapter'));
    const elsewhere = folder.in('first/checkpoints/step-4');
    for (const [resumeFromCheckpoint, why] of [
      [elsewhere, /step-4 is no checkpoint of that run/],
      ['auto', /none of its checkpoints is left to go on from/],
    ] as const) {
      if (resumeFromCheckpoint === 'auto') rmSync(join(outputDir, 'checkpoints'), { recursive: true });
      const error = await rejection(() => run({ ...common, outputDir, resumeFromCheckpoint }));
      expect([error.code, error.message]).toEqual(['NOT_EMPTY', expect.stringMatching(why)]);
      expect(bytesOf(join(outputDir, 'adapter'))).toEqual(adapter);
    }
    // a new folder may begin from a checkpoint of another run
    await run({ ...common, outputDir: folder.in('forked'), resumeFromCheckpoint: elsewhere });
    expect(stepsIn(folder.in('forked'))).toEqual([5, 6]);
  });

  it('refuses to resume with another learning rate', async () => {
    const error = await rejection(() =>
      run({ ...common, outputDir: folder.in('stopped'), resumeFromCheckpoint: 'auto', learningRate: 1e-3 }),
    );
    expect([error.code, error.message]).toEqual(['BAD_RESUME', expect.stringMatching(/learning_rate/)]);
  });

  it('with a gradient start, row rates and a preconditioner has the bytes of a whole run', async () => {
    const options = {
      ...common,
      adapterInit: 'gradient',
      loraplusLrRatio: 4,
      rankRates: 'inverse_sqrt',
      preconditioner: 'prefix',
    } as const satisfies Partial<FinetuneOptions>;
    const outputDir = folder.in('started in halves');
    const events = await run({ ...options, outputDir: folder.in('started whole') });
    expect(events).toContainEqual({
      type: 'notice',
      message: expect.stringMatching(/^adapter_init gradient: two passes over \d+ rows took/) as string,
    });
    await run({ ...options, outputDir, onStep: ({ step }) => (step === 3 ? 'stop' : undefined) });
    const identity = JSON.stringify(Object.keys(stateIn(outputDir)));
    expect(identity).toMatch(/adapter_init.*loraplus_lr_ratio.*preconditioner.*rank_rates/);
    const again = { ...options, outputDir, resumeFromCheckpoint: 'auto' } as const;
    const error = await rejection(() => run({ ...again, rankRates: 'uniform' }));
    expect([error.code, error.message]).toEqual(['BAD_RESUME', expect.stringMatching(/rank_rates/)]);
    const rest = await run(again);
    // the checkpoint has the weights: the start is not computed again
    expect(rest.filter(({ type }) => type === 'notice')).toEqual([]);
    expect(stepsIn(outputDir)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(bytesOf(join(outputDir, 'adapter'))).toEqual(bytesOf(folder.in('started whole/adapter')));
  });

  it.each([
    ['smallest', 1],
    ['drawn', 2],
    ['both', 1],
  ] as const)(
    'with the student %s ends in the same bytes, and has %i times the steps',
    async (student, n) => {
      const options = {
        ...common,
        distillation: 0.5,
        distillationTopK: 9,
        distillationStudent: student,
      } as const;
      const outputDir = folder.in(`${student} distilled in halves`);
      const whole = await run({ ...options, outputDir: folder.in(`${student} distilled whole`) });
      await run({ ...options, outputDir, onStep: ({ step }) => (step === 3 ? 'stop' : undefined) });
      const again = { ...options, outputDir, resumeFromCheckpoint: 'auto' } as const;
      const error = await rejection(() => run({ ...again, distillation: 0 }));
      expect([error.code, error.message]).toEqual(['BAD_RESUME', expect.stringMatching(/distillation/)]);
      await run(again);
      expect(bytesOf(join(outputDir, 'adapter'))).toEqual(
        bytesOf(folder.in(`${student} distilled whole/adapter`)),
      );
      const plain = await run({ ...common, outputDir: folder.in(`not distilled as ${student}`) });
      const stepsPerEpoch = (events: readonly FinetuneEvent[]) =>
        events.flatMap((event) => (event.type === 'plan' ? [event.stepsPerEpoch] : []));
      expect(stepsPerEpoch(whole)).toEqual(stepsPerEpoch(plain).map((steps) => n * steps));
    },
  );

  it('needs the moments of another run no more, once it has a checkpoint of its own', async () => {
    const outputDir = folder.in('with moments');
    const first = folder.in('gives moments');
    await run({ ...common, maxSteps: 2, outputDir: first });
    const options = {
      ...common,
      adapter: join(first, 'adapter'),
      optimizerState: join(first, 'checkpoints/step-2'),
      outputDir,
    } as const;
    await run({ ...options, maxSteps: 2 });
    rmSync(join(first, 'checkpoints'), { recursive: true });
    await run({ ...options, maxSteps: 4, resumeFromCheckpoint: 'auto' });
    expect(stepsIn(outputDir)).toEqual([1, 2, 3, 4]);
    const error = await rejection(() => run({ ...options, outputDir: folder.in('without moments') }));
    expect(error.code).toBe('MISSING_FILE');
  });

  it('goes on after evaluations without a finite loss until too many steps were bad', async () => {
    const outputDir = folder.in('diverged');
    const error = await rejection(() =>
      run({ ...common, maxSteps: 20, learningRate: 1e30, warmupSteps: 0, evalSteps: 1, outputDir }),
    );
    expect(error.code).toBe('NON_FINITE_LOSS');
  });

  it('stores none of the keys that earlier versions lacked, where it trains as they did', async () => {
    const outputDir = folder.in('earlier');
    await run({ ...common, maxSteps: 1, loraScaling: 'sqrt', distillation: 0, outputDir });
    expect(Object.keys(stateIn(outputDir)).join()).not.toMatch(
      /adapter_init|loraplus|rank_rates|rate_ranks|wide|distillation|precond/,
    );
    expect(stateIn(folder.in('first'))).toMatchObject({ rank_rates: 'steep' });
  });

  it.each<[string, Partial<FinetuneOptions>, Partial<FinetuneOptions>]>([
    ['cosine', {}, { lrNumCycles: 0.5, adamBeta2: 0.999, adamEpsilon: 1e-8 }],
    ['cosine_with_restarts', {}, { lrNumCycles: 1 }],
    ['polynomial', { optimizer: 'lion_8bit' }, { lrPower: 1, adamBeta2: 0.99 }],
  ])('is the same run where keys are set to their defaults (%s)', async (lrScheduler, options, defaults) => {
    const plain = { ...common, maxSteps: 4, saveSteps: 0, lrScheduler, ...options } as FinetuneOptions;
    const spelled = { ...plain, dataSeed: 0, adamBeta1: 0.9, rateRanks: [1, 2, 4], ...defaults };
    const inPlain = { outputDir: folder.in(`plain-${lrScheduler}`) };
    const inSpelled = { outputDir: folder.in(`spelled-${lrScheduler}`) };
    await run({ ...plain, ...inPlain });
    await run({ ...spelled, ...inSpelled });
    expect(bytesOf(join(inSpelled.outputDir, 'adapter'))).toEqual(
      bytesOf(join(inPlain.outputDir, 'adapter')),
    );
    for (const values of [plain, spelled])
      for (const where of [inPlain, inSpelled])
        expect(await run({ ...values, ...where, resumeFromCheckpoint: 'auto' })).toContainEqual(
          expect.objectContaining({ type: 'plan', startStep: 4 }),
        );
    const other = { ...plain, ...inPlain, adamBeta1: 0.8, resumeFromCheckpoint: 'auto' };
    expect((await rejection(() => run(other))).message).toContain('adam_beta1 0.8 (was 0.9).');
  });

  it('resumes with other keys that decide no numbers, such as profile and save_steps', async () => {
    const outputDir = folder.in('profiled');
    const short = { ...common, maxSteps: 2, outputDir } as const;
    await run(short);
    await run({ ...short, maxSteps: 4, profile: true, saveSteps: 3, resumeFromCheckpoint: 'auto' });
    expect([stepsIn(outputDir), existsSync(join(outputDir, 'profile.json'))]).toEqual([[1, 2, 3, 4], true]);
  });

  it('continues a finished run with more steps, and says that the schedule is planned again', async () => {
    const outputDir = folder.in('longer');
    const short = { ...common, maxSteps: 2, outputDir } as const;
    await run(short);
    const events = await run({ ...short, maxSteps: 4, resumeFromCheckpoint: 'auto' });
    expect(events.filter(({ type }) => type === 'step').length).toBe(2);
    expect(events).toContainEqual({
      type: 'notice',
      message: expect.stringMatching(/planned for 2 steps and is continued to 4: .* planned again/) as string,
    });
    expect(stepsIn(outputDir)).toEqual([1, 2, 3, 4]);
    const error = await rejection(() => run({ ...short, maxSteps: 3, resumeFromCheckpoint: 'auto' }));
    expect([error.code, error.message]).toEqual([
      'BAD_RESUME',
      expect.stringMatching(/number of steps 3 \(was 4\)/),
    ]);
  });
});
