import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { temporaryPlace } from '../../test/tiny-model.ts';

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));
const isBuilt = existsSync(path('dist/train-worker.js'));
const folder = temporaryPlace();

/**
 * Of a small model Node is most of what there is, and the JavaScript of its steps varies by 10 MB from run to
 * run: hence 10 %. `bench/memory-forecast.bench.ts` is the same for SmolLM2-135M within 5 %.
 */
const WITHIN = 0.1;

interface Forecast {
  readonly parts: readonly string[];
  readonly megabytes: number;
}

/** What a line says that the process will need. */
function forecastIn(text: string): Forecast {
  const [, megabytes, parts = ''] = /will need about ([\d.]+) MB: (.*)/.exec(text) ?? [];
  return {
    megabytes: Number(megabytes),
    parts: parts.split(', ').map((part) => part.replace(/ [\d.]+ [kMG]?B$/, '')),
  };
}

it.for<[string, string[]]>([
  ['with recomputation', []],
  ['with activations kept, at a small rank', ['--gradient-checkpointing', 'false', '--lora-r', '8']],
  ['in full training', ['--method', 'none']],
])(
  'train needs what it says that it will need, and what a dry run says, %s',
  { timeout: 120_000, retry: 2 }, // what JavaScript takes varies
  async ([, flags], { skip }) => {
    skip(!isBuilt, 'packages/qdylora/dist is not built');
    const rows = folder.in('rows.jsonl');
    const outputDir = folder.in(`run-${randomUUID()}`);
    const run = promisify(execFile);
    writeFileSync(
      rows,
      Array.from({ length: 16 }, (__, row) =>
        JSON.stringify({
          text: Array.from({ length: 400 }, (___, at) => `word${(row * 31 + at * 7) % 97}`).join(' '),
        }),
      ).join('\n'),
    );
    const words = [
      path('bin/qdylora.js'),
      'train',
      '--model',
      path('../embedded-base/model'),
      '--dataset',
      rows,
      '--max-seq-length',
      '256',
      '--max-steps',
      '2',
      '--output-dir',
      outputDir,
      ...flags,
    ];
    const dry = forecastIn((await run(process.execPath, [...words, '--dry-run'])).stdout);
    const { stderr } = await run(process.execPath, words);
    const forecast = forecastIn(stderr);
    const needed = Number(/: peak ([\d.]+) MB/.exec(stderr)?.[1]);
    expect(
      [forecast, dry].map(({ megabytes }) => Math.abs(megabytes / needed - 1) < WITHIN),
      `${stderr}\ndry run: ${dry.megabytes} MB`,
    ).toEqual([true, true]);
    // these may be too little to be told
    const partsOfRun = ({ parts }: Forecast): string[] =>
      parts.filter((part) => !/loading|rows|kernels$/.test(part));
    expect(partsOfRun(dry)).toEqual(partsOfRun(forecast));
  },
);
