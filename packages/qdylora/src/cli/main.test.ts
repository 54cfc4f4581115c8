import { spawn } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { describe, expect, it } from 'vitest';
import { joined, tinyCommands } from '../../test/tiny-commands.ts';
import { byteSizeText } from '../config/values/byte-size.ts';
import { command, fromSource } from '../../test/run-command.ts';

const { folder, model, rows, host, train } = tinyCommands();

describe('train', () => {
  it('ends with the table of ranks, the report and the next command', async () => {
    const { code, out, err } = await command(...train, '--output-dir', folder.in('run'));
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        joined(
          /rank +held-out loss +vs base +adapter[\s\S]*\n +4 +\d[\s\S]*report: .*report\.html\n/,
          /next: npx qdylora export --adapter .* --rank \d --format peft/,
        ),
      ),
    ]);
    expect(err).toMatch(
      /host \(TypeScript\)[\s\S]*adapter: 7 layers \(all-linear\), ranks 1 2 4[\s\S]*step 3\/3/,
    );
  });

  it('says to quote patterns where the shell expanded one into the place of run.yaml', async () => {
    const { code, err } = await command(
      'train',
      '--model',
      model,
      '--dataset',
      rows,
      rows,
      '--output-dir',
      folder.in('unquoted'),
    );
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(
        joined(
          /This is a file of rows, not a run file\.\n/,
          /Quote patterns, so that the shell does not expand them: --dataset "data\/\*\.jsonl"/,
        ),
      ),
    ]);
  });

  it('accepts the run.yaml that it wrote, and refuses its folder without resume', async () => {
    const { code, err } = await command('train', folder.in('run/run.yaml'));
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(
        /already exists and is not an empty folder.*\nGo on with that run: --resume-from-checkpoint auto/,
      ),
    ]);
    const again = await command(
      'train',
      folder.in('run/run.yaml'),
      '--output-dir',
      folder.in('again'),
      '--json',
    );
    expect([again.code, JSON.parse(again.out)]).toEqual([
      0,
      expect.objectContaining({ steps: 3, method: 'dylora' }),
    ]);
    for (const name of ['adapter_model.safetensors', 'qdylora.json'])
      expect(readFileSync(folder.in(`again/adapter/${name}`))).toEqual(
        readFileSync(folder.in(`run/adapter/${name}`)),
      );
  });

  it('shows everything and writes nothing with --dry-run', async () => {
    const { code, out } = await command(...train, '--output-dir', folder.in('dry'), '--dry-run');
    expect([code, existsSync(folder.in('dry'))]).toEqual([0, false]);
    expect(out).toMatch(
      joined(
        /learning_rate: 0\.02[\s\S]*⟦[\s\S]*3 steps \(3 an epoch\), 12 rows, 4 held out[\s\S]*/,
        /about \d\d:\d\d[\s\S]*memory: will need about [\d.]+ [MG]B: Node and the program [\s\S]*gradients/,
      ),
    );
  });

  it('counts with --dry-run the streamed rows that are not known to be dropped, and says so', async () => {
    const trained = Array.from({ length: 1000 }, () => ({ input_ids: [3, 4, 5] }));
    const plan = async (name: string, dataset: readonly object[]): Promise<Record<string, unknown>> => {
      const file = folder.in(`${name}.jsonl`);
      writeFileSync(file, dataset.map((row) => JSON.stringify(row)).join('\n'));
      const { out } = await command(
        ...train,
        ...['--dataset', file, '--streaming', 'true', '--val-set-size', '0', '--dry-run', '--json'],
        ...['--output-dir', folder.in('dry-streamed')],
      );
      return JSON.parse(out) as Record<string, unknown>;
    };
    const hollow = { input_ids: [6] };
    const known = await plan('known', [hollow, ...trained.slice(0, 9), hollow]);
    const unknown = await plan('unknown', [hollow, ...trained, hollow]);
    expect([known.training_rows, unknown.training_rows]).toEqual([9, 1001]);
    expect(String(known.notes as string[])).not.toMatch(/upper bound/);
    expect(unknown.notes).toContainEqual(
      expect.stringMatching(/number of training rows is an upper bound: 1000 of 1002 rows were tokenized/),
    );
  });

  it('leaves nothing behind where it is refused before the first step', async () => {
    const file = folder.in('no-folder');
    const paged = [...train, '--optimizer', 'paged_adamw_32bit', '--optimizer-memory-budget', '4KiB'];
    writeFileSync(file, '');
    for (const [words, message] of [
      [
        ['--page-dir', `${file}/pages`],
        /page_dir\] The folder .*no-folder\/pages cannot be written: ENOTDIR/,
      ],
      [
        ['--page-dir', folder.in('refused-pages/below'), '--optimizer-memory-budget', '1B'],
        /optimizer_memory_budget/,
      ],
    ] as const)
      expect(await command(...paged, ...words, '--output-dir', folder.in('refused/run'))).toMatchObject({
        code: expect.not.stringMatching('0') as number,
        err: expect.stringMatching(message) as string,
      });
    expect([existsSync(folder.in('refused')), existsSync(folder.in('refused-pages'))]).toEqual([
      false,
      false,
    ]);
  });

  it('saves and leaves with 130 on Ctrl-C, and goes on from there', async () => {
    const long = [...train.map((word) => (word === '3' ? '400' : word)), '--output-dir', folder.in('long')];
    const child = spawn(process.execPath, [...fromSource, ...long], { stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    child.stderr.on('data', (text: Buffer) => {
      const isFirst = !/step +1\//.test(printed);
      printed += String(text);
      if (isFirst && /step +1\//.test(printed)) child.kill('SIGINT');
    });
    const code = await new Promise((resolve) => {
      child.on('close', resolve);
    });
    expect([code, readdirSync(folder.in('long/checkpoints')).length]).toEqual([130, 1]);
    expect(
      readFileSync(folder.in('long/events.jsonl'), 'utf8')
        .split('\n')
        .filter((line) => line.includes('"type":"step"')).length,
    ).toBeLessThan(400);
  });
});

describe('eval', () => {
  it('prints one JSON document of the contract, by rising rank', async () => {
    const { code, out } = await command(
      'eval',
      ...host,
      '--adapter',
      folder.in('run/adapter'),
      '--ranks',
      '4,1',
      '--data',
      rows,
      '--json',
    );
    const { results } = JSON.parse(out) as { results: Record<string, number>[] };
    expect([code, results.map(({ rank }) => rank)]).toEqual([0, [1, 4]]);
    expect(Object.keys(results[0])).toEqual(['rank', 'loss', 'perplexity', 'tokens', 'standard_error']);
    expect(results[0].perplexity).toBeCloseTo(Math.exp(results[0].loss!), 9);
  });

  it('has one row of no rank without an adapter, whatever ranks are asked for', async () => {
    for (const ranks of [[], ['--ranks', 'all'], ['--ranks', '1,8']]) {
      const { out } = await command('eval', ...host, ...ranks, '--dataset', rows, '--json');
      expect((JSON.parse(out) as { results: { rank: null }[] }).results.map(({ rank }) => rank)).toEqual([
        null,
      ]);
    }
  });

  it('cuts a text into windows whose first token is not predicted, and keeps a short last one', async () => {
    writeFileSync(folder.in('text.txt'), 'the cat sat on the mat, and the dog did not. '.repeat(3));
    const { out } = await command(
      'eval',
      ...host,
      '--data',
      folder.in('text.txt'),
      '--max-seq-length',
      '16',
      '--limit-tokens',
      '37',
      '--json',
    );
    expect((JSON.parse(out) as { results: { tokens: number }[] }).results[0].tokens).toBe(37 - 3);
  });
});

describe('plan', () => {
  it('says part by part what a run needs, from config.json alone, and whether it fits', async () => {
    const config = `${model}/config.json`;
    const words = [
      'plan',
      '--model',
      config,
      '--backend',
      'host',
      '--ranks',
      '1,4',
      '--max-seq-length',
      '128',
    ];
    const { code, out } = await command(...words, '--memory', '64GiB');
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(
        joined(
          /^llama, [\d,]+ parameters, nf4 \+ double quantization; /,
          /7 layers adapted, ranks 1 4, [\d,]+ trainable\n[\s\S]*/,
          /base weights +[\d.]+ [kM]B[\s\S]*total, about +[\d.]+ [MG]B\n\n/,
          /The run fits into 68\.72 GB: [\d.]+ GB to spare\.\n/,
          /Time: about [\d.]+ (ms|s|min|h) for each step of \d+ × 128 tokens .*\n$/,
        ),
      ),
    ]);
    const document = JSON.parse((await command(...words, '--memory', '1MiB', '--json')).out) as {
      total_bytes: number;
      parts: { bytes: number }[];
      limit: object;
    };
    expect(document.parts.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(document.total_bytes);
    expect(document.limit).toEqual({ memory_bytes: 2 ** 20, fits: false, fit: null });
    expect((await command(...words, '--memory', '1MiB')).out).toMatch(
      /The run does not fit into 1\.0 MB: [\d.]+ [MG]B too much\.\nNo change of keys/,
    );
  });

  it('compares with the memory of this machine where none is named', async () => {
    const { out } = await command('plan', '--model', `${model}/config.json`, '--backend', 'host');
    expect(out).toContain(`The run fits into ${byteSizeText(totalmem())}, the memory of this machine: `);
  });

  it('refuses a size without a unit, and names the likely one', async () => {
    const { code, err } = await command('plan', '--model', `${model}/config.json`, '--memory', '32');
    expect([code, err]).toEqual([2, expect.stringMatching(/\(got "32"\)\.\nDid you mean 32MB or 32GB\?/)]);
  });

  it('reads the run.yaml of a run, and refuses a size that is none', async () => {
    expect((await command('plan', folder.in('run/run.yaml'))).out).toMatch(
      /not quantized; 7 layers adapted, ranks 1 2 4/,
    );
    expect((await command('plan', folder.in('run/run.yaml'), '--memory', 'much')).err).toMatch(
      /`--memory` must be a size with a unit, such as 64MB or 8GB \(got "much"\)/,
    );
  });
});

describe('the other verbs', () => {
  it('ranks compares every rank with the base', async () => {
    const { code, out } = await command(
      'ranks',
      ...host,
      '--adapter',
      folder.in('run/adapter'),
      '--data',
      rows,
      '--output-dir',
      folder.in('sweep'),
      '--json',
    );
    expect([code, JSON.parse(out), readdirSync(folder.in('sweep')).sort()]).toEqual([
      0,
      expect.objectContaining({
        best_rank: expect.any(Number) as number,
        base: expect.any(Object) as object,
      }),
      ['rank-report.json', 'report.html'],
    ]);
  });

  it('ranks recommends no rank after one row', async () => {
    const row = folder.in('one row.jsonl');
    writeFileSync(row, `${readFileSync(rows, 'utf8').split('\n')[0]!}\n`);
    const words = ['ranks', ...host, '--adapter', folder.in('run/adapter'), '--dataset', row];
    const { code, out } = await command(...words, '--output-dir', folder.in('one row'));
    expect([code, out]).toEqual([0, expect.stringContaining('One row cannot tell ranks apart')]);
    expect(out).not.toMatch(/not significantly worse|qdylora export/);
    const page = readFileSync(folder.in('one row/report.html'), 'utf8');
    expect(page).not.toMatch(/tuned on|qdylora export/);
  });

  it('export writes a PEFT adapter, and not over another folder', async () => {
    const words = [
      'export',
      '--adapter',
      folder.in('run/adapter'),
      '--rank',
      '2',
      '--format',
      'peft',
      '--output-dir',
      folder.in('r2'),
    ];
    expect([(await command(...words)).code, (await command(...words)).code]).toEqual([0, 2]);
    expect(JSON.parse(readFileSync(folder.in('r2/adapter_config.json'), 'utf8'))).toMatchObject({
      peft_type: 'LORA',
      r: 2,
      use_rslora: false,
      lora_alpha: 8 * (2 + 0.75),
    });
  });

  it('generate streams what its ids decode to, with the chat template or without', async () => {
    const words = [
      'generate',
      ...host,
      '--adapter',
      folder.in('run/adapter'),
      '--prompt',
      'hello',
      '--max-new-tokens',
      '12',
    ];
    const streamed = await command(...words, '--raw');
    const document = JSON.parse((await command(...words, '--raw', '--json')).out) as {
      text: string;
      prompt_tokens: number;
    };
    expect([streamed.code, streamed.out, document.prompt_tokens]).toEqual([0, `${document.text}\n`, 5]);
    expect(
      (JSON.parse((await command(...words, '--json')).out) as { prompt_tokens: number }).prompt_tokens,
    ).toBe('u:hello\na:'.length);
  });

  it('generate ends at a stop text, and says where max_new_tokens ended an answer', async () => {
    const adapter = ['--adapter', folder.in('run/adapter'), '--prompt', 'hello', '--raw'];
    const answer = async (...words: string[]) => {
      const { out, err } = await command('generate', ...host, ...adapter, ...words, '--json');
      const document = JSON.parse(out) as { text: string; ids: number[]; finish_reason: string };
      return { ...document, note: /cut off after 12 tokens/.test(err) };
    };
    const whole = await answer('--max-new-tokens', '12');
    expect(whole).toMatchObject({ finish_reason: 'length', note: true });
    const stop = whole.text.slice(1, 3);
    const end = whole.text.indexOf(stop);
    expect(await answer('--max-new-tokens', '12', '--stop', stop)).toMatchObject({
      text: whole.text.slice(0, end),
      ids: whole.ids.slice(0, end),
      finish_reason: 'stop',
      note: false,
    });
    const penalized = await answer('--max-new-tokens', '12', '--repetition-penalty', '5');
    expect(new Set(penalized.ids).size).toBeGreaterThan(new Set(whole.ids).size);
  });

  it('doctor names the node, the compiler and the backend that runs', async () => {
    expect(JSON.parse((await command('doctor', '--json')).out)).toMatchObject({
      node: process.version,
      backend: expect.stringMatching(/^(cpu|host)/) as string,
    });
  });
});
