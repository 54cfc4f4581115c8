import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { command } from '../../../test/run-command.ts';
import { tinyCommands } from '../../../test/tiny-commands.ts';
import type { QdyloraError } from '@qdylora/contract';
import { evaluateTasks } from './evaluate-tasks.ts';
import type { RecipeProgress } from '../hooks.ts';

const QUIZ = `task: quiz
dataset_path: made/quiz
training_split: train
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: gold
doc_to_choice: choices
`;

describe('eval --tasks', () => {
  const { folder, host, train, model } = tinyCommands();
  const task = folder.in('quiz.yaml');
  const data = folder.in('data');
  const adapter = folder.in('run/adapter');
  const flags = ['eval', ...host, '--task-data', data];
  const quiz = (i: number): string =>
    JSON.stringify({ question: `is ${i} odd?`, gold: i % 2, choices: ['no', 'yes'] });

  /** A folder with rows that take more than one pass, so that an abort comes between them. */
  const slowRows = (count: number): string => {
    const slow = folder.in(`slow-${count}`);
    mkdirSync(slow);
    const rows = Array.from({ length: count }, (_, i) => ({
      question: `${String.fromCodePoint(97 + i)} is number ${i} of the letters ${'x'.repeat(60)}`,
      gold: i % 2,
      choices: ['no', 'yes'],
    }));
    writeFileSync(join(slow, 'test.jsonl'), rows.map((row) => JSON.stringify(row)).join('\n'));
    return slow;
  };

  beforeAll(async () => {
    mkdirSync(join(data, 'quiz'), { recursive: true });
    writeFileSync(task, QUIZ);
    for (const split of ['train', 'test']) {
      const rows = Array.from({ length: split === 'train' ? 5 : 4 }, (_, i) => quiz(i));
      writeFileSync(join(data, `quiz/${split}.jsonl`), rows.join('\n'));
    }
    const { code, err } = await command(...train, '--output-dir', folder.in('run'));
    expect(code, err).toBe(0);
  });

  it('refuses the folder of a run, whose report it would replace, and a file', async () => {
    const judge = [...flags, '--tasks', task, '--adapter', adapter, '--model', model];
    const report = readFileSync(folder.in('run/report.html'), 'utf8');
    const inRun = await command(...judge, '--output-dir', folder.in('run'));
    expect([inRun.code, inRun.err]).toEqual([
      2,
      expect.stringMatching(/report\.html would be replaced[^]*run\/tasks/),
    ]);
    expect(readFileSync(folder.in('run/report.html'), 'utf8')).toBe(report);
    const baseInRun = await command(...flags, '--tasks', task, '--output-dir', folder.in('run'));
    expect([baseInRun.code, baseInRun.err]).toEqual([
      2,
      expect.stringMatching(/run, with which the results of an evaluation are not mixed\.[^]*run\/tasks/),
    ]);
    const inFile = await command(...judge, '--output-dir', task);
    expect([inFile.code, inFile.err]).toEqual([2, expect.stringContaining(`${task} is a file.`)]);
  });

  it('writes the samples of a task whose name has a slash', async () => {
    const named = folder.in('named.yaml');
    writeFileSync(named, QUIZ.replace('task: quiz', 'task: org/quiz'));
    const results = folder.in('named');
    const judge = [...flags, '--tasks', named, '--model', model, '--output-dir', results];
    const { code, err } = await command(...judge);
    expect(code, err).toBe(0);
    expect(readdirSync(results, { recursive: true })).toContainEqual(
      expect.stringMatching(/samples_org__quiz_[^/]*\.jsonl$/),
    );
  });

  it('uses a base at the quantization level of the run of the adapter, or at another', async () => {
    const levels = ['--quantization', 'nf4', '--quantization-levels', '3'];
    const { code, err } = await command(...train, ...levels, '--output-dir', folder.in('three'));
    expect(code, err).toBe(0);
    const judge = [
      '--tasks',
      task,
      '--num-fewshot',
      '0',
      '--model',
      model,
      '--adapter',
      folder.in('three/adapter'),
    ];
    const likelihoodsAt = async (...level: string[]): Promise<unknown> => {
      const out = folder.in(`levels${level.join('')}`);
      const judged = await command(
        'eval',
        '--backend',
        'host',
        '--task-data',
        data,
        ...judge,
        ...level,
        '--output-dir',
        out,
      );
      expect(judged.code, judged.err).toBe(0);
      const files = readdirSync(out, { recursive: true, encoding: 'utf8' });
      const samples = files.filter((file) => /samples_quiz.*jsonl$/.test(file)).sort();
      return samples.map((file) =>
        readFileSync(join(out, file), 'utf8')
          .split('\n')
          .filter(Boolean)
          .map((line) => (JSON.parse(line) as { resps: unknown }).resps),
      );
    };
    const byDefault = await likelihoodsAt();
    expect(byDefault).toEqual(await likelihoodsAt('--level', '3'));
    expect(byDefault).not.toEqual(await likelihoodsAt('--level', '4'));
  });

  it('a task may begin the answer in the assistant turn of a chat template', async () => {
    const opened = folder.in('opened.yaml');
    writeFileSync(opened, `${QUIZ.replace('quiz', 'opened')}gen_prefix: "{{question}} I say"\n`);
    const chat = ['--apply-chat-template', '--chat-template', 'chatml'];
    const out = folder.in('opened');
    const own = ['--tasks', opened, '--num-fewshot', '0', '--limit', '1', '--model', model];
    const { code, err } = await command(...flags, ...own, ...chat, '--output-dir', out);
    expect(code, err).toBe(0);
    const [samples] = readdirSync(out, { recursive: true, encoding: 'utf8' }).filter((file) =>
      /samples_opened.*jsonl$/.test(file),
    );
    expect(JSON.parse(readFileSync(join(out, samples), 'utf8').split('\n')[0])).toMatchObject({
      arguments: {
        gen_args_0: {
          arg_0: '<|im_start|>user\nis 0 odd?<|im_end|>\n<|im_start|>assistant\nis 0 odd? I say',
          arg_1: ' no',
        },
      },
    });
  });

  it('every rank and the base have the results files of the harness, from the same requests', async () => {
    const out = folder.in('out');
    const few = ['--tasks', task, '--num-fewshot', '1', '--limit', '3', '--adapter', adapter];
    const written = ['--compute-dtype', 'auto', '--output-dir', out, '--json'];
    const { code, out: text, err } = await command(...flags, ...few, ...written);
    expect(code, err).toBe(0);
    const document = JSON.parse(text) as {
      results: { rank: number | null; metric: string; value: number; documents: number }[];
      files: string[];
      report: string;
      comparisons: unknown[];
      recommendation: object;
    };
    const { results, files } = document;
    expect(results.map(({ rank, metric }) => [rank, metric])).toEqual(
      [null, 1, 2, 4].flatMap((rank) => [[rank, 'acc'], [rank, 'acc_norm']]), // prettier-ignore
    );
    expect(results.every(({ documents }) => documents === 3)).toBe(true);
    expect(files).toHaveLength(4);
    expect(document.comparisons).toMatchObject([
      {
        task: 'quiz',
        metric: 'acc',
        test: 'mcnemar',
        documents: 3,
        ranks: [{ rank: 1, adapter_bytes: expect.any(Number) }, {}, {}],
      },
      { task: 'quiz', metric: 'acc_norm', confidence_set: [1, 2, 4] },
    ]);
    expect(document.recommendation).toMatchObject({ by_task: [{ task: 'quiz', rank: 1 }], rank_for_all: 1 });
    expect(JSON.parse(readFileSync(join(out, 'task-report.json'), 'utf8'))).toMatchObject({
      recommendation: document.recommendation,
    });
    expect(document.report).toBe(join(out, 'report.html'));
    const page = readFileSync(document.report, 'utf8');
    expect(page).toContain('3 documents cannot tell any rank');
    expect(page).toContain('<h1>Rank 1 is enough for quiz</h1>');
    expect(page).toContain('Score of each rank on quiz over the bytes of the adapter');
    const documents = files.map(
      (file) =>
        JSON.parse(readFileSync(file, 'utf8')) as {
          task_hashes: object;
          config: object;
          'n-shot': object;
          results: { quiz: { 'acc,none': number } };
        },
    );
    for (const document of documents) expect(document.task_hashes).toEqual(documents[0]!.task_hashes);
    expect(documents[0]!['n-shot']).toEqual({ quiz: 1 });
    expect(documents[0]!.config).toMatchObject({ model_dtype: 'f32' }); // of the backend, not `auto`
    expect(documents.map(({ results: { quiz } }) => quiz['acc,none'])).toEqual(
      results.filter(({ metric }) => metric === 'acc').map(({ value }) => value),
    );
    const [folderOfBase] = readdirSync(out).filter((name) => name.endsWith('__base'));
    const samples = readdirSync(join(out, folderOfBase!)).find((name) => name.startsWith('samples_quiz_'));
    const lines = readFileSync(join(out, folderOfBase!, samples!), 'utf8')
      .trim()
      .split('\n');
    expect(lines).toHaveLength(3);
  });

  it('below the table a sentence says which rank to take', async () => {
    const { code, out } = await command(...flags, '--tasks', task, '--adapter', adapter);
    expect(code).toBe(0);
    expect(out).toMatch(/^quiz: Rank 1.* 4 documents cannot tell any rank/m);
    expect(out.replaceAll('\n', ' ')).toMatch(/Rank 1 does not differ significantly from the base\./);
  });

  it('the table has a line for each rank, and the best one is marked', async () => {
    const { code, out } = await command(...flags, '--tasks', task, '--adapter', adapter, '--ranks', '2');
    expect(code).toBe(0);
    expect(out).toMatch(/quiz +acc +4 rows, 0 shots +base +\d\.\d{4} +± \d/);
    expect(out).toMatch(/^ +2 +\d\.\d{4}/m);
    expect(out).toContain('← best');
  });

  it('an interrupted evaluation keeps its answers, continues, and has the same results', async () => {
    const out = folder.in('interrupted');
    const slow = slowRows(24);
    const options = { model, adapter, tasks: [task], taskData: slow, outputDir: out };
    const quiet = { ...options, backend: 'host', quantization: 'none', ranks: [1, 2] } as const;
    const controller = new AbortController();
    const seen: RecipeProgress[] = [];
    const onProgress = (progress: RecipeProgress): void => {
      seen.push(progress);
      if (progress.done > progress.total / 4) controller.abort();
    };
    const stopped = await evaluateTasks({ ...quiet, signal: controller.signal, onProgress }).then(
      () => null,
      (error: QdyloraError) => error,
    );
    expect(stopped).toMatchObject({ code: 'ABORTED', details: { files: [expect.any(String)] } });
    expect(stopped!.message).toMatch(/finished: .*:base.*run the same command again to continue/s);
    expect(seen.every(({ secondsLeft }) => secondsLeft! >= 0)).toBe(true);
    const counts: number[] = [];
    const again = await evaluateTasks({
      ...quiet,
      onProgress: ({ done, total }) => counts.push(done / total),
    });
    expect(counts.at(-1)).toBe(1);
    expect(counts.filter((share) => share === 1)).toHaveLength(1);
    const fresh = await evaluateTasks({ ...quiet, outputDir: folder.in('fresh') });
    expect(again.results).toEqual(fresh.results);
    const third = await evaluateTasks({ ...quiet, onProgress: () => counts.push(-1) });
    expect(third.results).toEqual(fresh.results);
    expect(counts).not.toContain(-1);
  });

  it('a part of the ranks is not compared: a report from before stays as it is', async () => {
    const out = folder.in('partial');
    const options = { model, adapter, tasks: [task], taskData: slowRows(40), outputDir: out };
    const quiet = { ...options, backend: 'host', quantization: 'none', compareWithBase: false } as const;
    const { report } = await evaluateTasks({ ...quiet, ranks: [1] });
    const reports = (): string[] =>
      [report!, join(out, 'task-report.json')].map((file) => readFileSync(file, 'utf8'));
    writeFileSync(report!, `${reports()[0]}<!-- from before -->`);
    const before = reports();
    const controller = new AbortController();
    // the answers of rank 1 are kept, so it is finished when rank 2 is aborted
    const { signal } = controller;
    const onProgress = (): void => controller.abort();
    await expect(evaluateTasks({ ...quiet, ranks: [1, 2], signal, onProgress })).rejects.toMatchObject({
      message: expect.stringMatching(/finished: [^ ]*:r1\. /) as string,
      details: { files: [expect.stringMatching(/results_.*json$/)] },
    });
    expect(reports()).toEqual(before);
  });

  it('a rank that was not trained is told', async () => {
    const notices: string[] = [];
    const options = { model, adapter, tasks: [task], taskData: data, ranks: [2, 3] };
    const quiet = { ...options, backend: 'host', quantization: 'none', compareWithBase: false } as const;
    await evaluateTasks({ ...quiet, onNotice: (text) => notices.push(text) });
    expect(notices).toEqual(['Rank 3 was not trained: the trained ranks of this adapter are 1, 2, 4.']);
  });

  it('a race that drops no rank says so, and changes no number', async () => {
    const many = folder.in('many');
    mkdirSync(many);
    writeFileSync(join(many, 'test.jsonl'), Array.from({ length: 60 }, (_, i) => quiz(i)).join('\n'));
    const options = { model, adapter, tasks: [task], taskData: many, ranks: [2, 4] };
    const quiet = { ...options, backend: 'host', quantization: 'none', compareWithBase: false } as const;
    const raced = await evaluateTasks({ ...quiet, racing: true });
    expect(raced.races).toEqual([
      { task: 'quiz', tasks: ['quiz'], survivors: [2, 4], dropped: [], savedShare: 0 },
    ]);
    expect(raced.comparisons[0]!.alpha).toBe(0.025);
    expect(raced.results).toEqual((await evaluateTasks(quiet)).results);
  });

  it('a changed adapter never has answers of the one before', async () => {
    const kept = folder.in('kept');
    const changed = folder.in('changed');
    cpSync(adapter, changed, { recursive: true });
    const options = { model, tasks: [task], taskData: data, cacheRequests: kept };
    const quiet = { ...options, backend: 'host', quantization: 'none', ranks: [2] } as const;
    await evaluateTasks({ ...quiet, adapter });
    const files = readdirSync(kept);
    expect(files).toHaveLength(2);
    const weights = readFileSync(join(changed, 'adapter_model.safetensors'));
    weights[weights.length - 1]! ^= 1;
    writeFileSync(join(changed, 'adapter_model.safetensors'), weights);
    rmSync(join(changed, 'manifest.json')); // it has the hash of the file before
    await evaluateTasks({ ...quiet, adapter: changed });
    expect(readdirSync(kept).filter((file) => !files.includes(file))).toHaveLength(1);
  });

  it('a model alone is one row, and what is too long is told', async () => {
    const long = folder.in('long');
    mkdirSync(long);
    writeFileSync(
      join(long, 'test.jsonl'),
      JSON.stringify({ question: 'x'.repeat(300), gold: 0, choices: ['a', 'b'] }),
    );
    const repeated = folder.in('repeated.yaml');
    writeFileSync(repeated, `${QUIZ}repeats: 2\n`);
    const { code, err } = await command('eval', ...host, '--task-data', long, '--tasks', repeated);
    expect(code, err).toBe(0);
    expect(err).toContain('2 prompts are longer than the 128 tokens that the model reads.');
  });

  it.each([
    [['--tasks', 'gsm8'], 'Did you mean gsm8k?'],
    [['--tasks', 'gsm8k'], 'There is no file of the split test in'],
    [['--tasks', 'none.yaml'], 'There is no file none.yaml'],
    [['--tasks', 'gsm8k', '--dataset', 'rows.jsonl'], '--dataset does nothing with --tasks.'],
  ])('%j is refused', async (words, message) => {
    const { code, err } = await command(...flags, ...words);
    expect(code).not.toBe(0);
    expect(err).toContain(message);
  });

  it('two files with one name of a task are refused, and one file twice is one task', async () => {
    const copy = folder.in('copy.yaml');
    writeFileSync(copy, QUIZ);
    const { code, err } = await command(...flags, '--tasks', `${task},${copy}`);
    expect(code).not.toBe(0);
    expect(err).toContain('Two tasks have the name quiz, so one would be left out.');
    const twice = await command(...flags, '--tasks', `${task},${task}`);
    expect(twice.out.match(/^quiz +acc /gm)).toHaveLength(1);
  });

  it('flags of tasks need tasks', async () => {
    expect((await command('eval', '--model', model, '--limit', '3')).err).toContain('--limit needs --tasks.');
  });
});
