/**
 * Tokens a second of a whole model that writes text: those of a prompt, then one after the other. Ours, and
 * llama.cpp's where its `llama-bench` and a GGUF file are given.
 *
 *     npm run bench generation -- --model ../smollm2 [--llama-bench PATH] [--gguf ../smollm2.Q4_1.gguf]
 *         [--llama-cpp ../peers] [--prompt 32,512] [--new 128] [--rounds 3] [--repeats 4] [--threads 2]
 *
 * Ours: NF4 with double quantization, head and embedding in bf16, computing in bf16, no adapter; as it is,
 * then batch invariant.
 * `--llama-cpp` is a folder with node-llama-cpp, llama.cpp as Node runs it (`npm i --prefix ../peers
 * node-llama-cpp@3.22.1`).
 * Each measurement is a process of its own that runs the built packages. Ours and the peers take turns for
 * some rounds, since cores may be shared. A process writes the same text again and again: the first warms up,
 * the best of the others counts, and all must be equal.
 * Prints one JSON row for each (`megabytes_per_token`: of weights that a new token reads; of a GGUF file: all
 * of it), then medians and their ratios.
 */
import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { recordRows } from '@qdylora/testing/bench';
import { median } from './median.mjs';
import { rowOfProcess } from './row-of-process.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string' },
    'llama-bench': { type: 'string' },
    'llama-cpp': { type: 'string' },
    gguf: { type: 'string' },
    prompt: { type: 'string', default: '32,512' },
    new: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '3' },
    repeats: { type: 'string', default: '4' },
    threads: { type: 'string', default: '2' },
  },
});

interface Row {
  readonly who: string;
  readonly prompt: number;
  readonly prompt_tokens_per_second: number;
  readonly new_tokens_per_second: number;
  /** Of the whole process; not known of llama-bench. */
  readonly cpu_ms_per_new_token?: number;
  readonly megabytes_per_token: number;
}

function measure(script: string, prompt: number, batchInvariant = false): Row {
  const order = {
    model: values.model,
    llamaCpp: values['llama-cpp'],
    gguf: values.gguf,
    prompt,
    count: Number(values.new),
    repeats: Number(values.repeats),
    threads: Number(values.threads),
    batchInvariant,
  };
  return rowOfProcess<Row>(process.execPath, [
    fileURLToPath(new URL(script, import.meta.url)),
    JSON.stringify(order),
  ]);
}

/** The native program that llama.cpp is measured by: the best repetition, as of ours. */
function runLlamaBench(program: string, gguf: string, prompt: number): Row {
  const fastest = (...test: string[]): number => {
    const settings = ['-m', gguf, '-t', values.threads, '-ngl', '0', '-r', values.repeats, '-o', 'json'];
    const output = execFileSync(program, [...settings, ...test], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [result] = JSON.parse(output) as { samples_ts: number[] }[];
    return Math.max(...result!.samples_ts);
  };
  return {
    who: 'llama-bench',
    prompt,
    prompt_tokens_per_second: fastest('-p', String(prompt), '-n', '0'),
    new_tokens_per_second: fastest('-p', '0', '-n', values.new, '-d', String(prompt)),
    megabytes_per_token: statSync(gguf).size / 1e6,
  };
}

/** Ours first, then every peer that was named. */
function measureRound(prompt: number): Row[] {
  const { 'llama-bench': llamaBench, 'llama-cpp': llamaCpp, gguf } = values;
  const rows = [
    measure('generation.worker.mjs', prompt),
    measure('generation.worker.mjs', prompt, true),
    ...(llamaBench && gguf ? [runLlamaBench(llamaBench, gguf, prompt)] : []),
    ...(llamaCpp && gguf ? [measure('peers/llama-cpp-generation.mjs', prompt)] : []),
  ];
  for (const row of rows) console.log(JSON.stringify(row));
  return rows;
}

/** Medians over rounds, and how many times faster we are: the ratio of each round. */
function report(prompt: number, rounds: readonly Row[][]): void {
  rounds[0].forEach(({ who, megabytes_per_token }, i) => {
    const middle = (key: 'prompt_tokens_per_second' | 'new_tokens_per_second'): number =>
      median(rounds.map((rows) => rows[i][key]));
    const ratio = (key: 'prompt_tokens_per_second' | 'new_tokens_per_second'): number | null =>
      i === 0 ? null : median(rounds.map((rows) => rows[0][key] / rows[i][key]));
    const cpu = rounds.flatMap((rows) => rows[i].cpu_ms_per_new_token ?? []);
    const row = {
      prompt,
      who,
      'prompt tokens/s': middle('prompt_tokens_per_second'),
      'new tokens/s': middle('new_tokens_per_second'),
      'CPU ms a new token': cpu.length > 0 ? median(cpu) : null,
      'MB a token': megabytes_per_token,
      'ours ×, prompt': ratio('prompt_tokens_per_second'),
      'ours ×, new': ratio('new_tokens_per_second'),
    };
    console.log(
      Object.entries(row)
        .flatMap(([key, value]) => (value === null ? [] : `${key} ${value}`))
        .join(', '),
    );
    recordRows([row]);
  });
}

if (!values.model) throw new TypeError('Name a folder or a GGUF file: --model ../smollm2.');
for (const prompt of values.prompt.split(',').map(Number))
  report(
    prompt,
    Array.from({ length: Number(values.rounds) }, () => measureRound(prompt)),
  );
if (!values.gguf || !(values['llama-bench'] || values['llama-cpp']))
  console.log('llama.cpp skipped: it needs --gguf, and --llama-bench or --llama-cpp');
