// Coverage-guided fuzzing of one reader by Jazzer.js (libFuzzer), with the fixtures as its corpus and their
// words as its dictionary.
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { build } from 'tsup';
import { TOKENS } from './mutate.mjs';

const TARGET = fileURLToPath(new URL('jazzer-target.mjs', import.meta.url));
const BIN = join(createRequire(import.meta.url).resolve('@jazzer.js/core/package.json'), '../dist/cli.js');

/**
 * An input that never ends is ended here, by the clock; one that takes over a second of work is found by
 * judge.mjs.
 */
const TIMEOUT_MS = 60_000;
const MOST_MEGABYTES = 2048;

/** Everything in one CommonJS file, since Jazzer.js instruments what `require` loads. */
export async function bundleTarget(folder) {
  await build({
    config: false,
    entry: [TARGET],
    format: 'cjs',
    outDir: folder,
    noExternal: [/.*/],
    target: 'node20',
    silent: true,
    clean: false,
    dts: false,
    shims: true, // fdir, which tinyglobby brings, reads import.meta.url
    outExtension: () => ({ js: '.cjs' }),
  });
  return join(folder, 'jazzer-target.cjs');
}

/** @returns true where nothing was found; a finding stands in `folder` and on the terminal */
export async function fuzzWithJazzer(
  name,
  { corpus, isText = false },
  { bundle, folder, fixtures, seconds, seed },
) {
  const seeds = join(folder, `${name}-seeds`);
  const found = join(folder, `${name}-corpus`);
  const dictionary = join(folder, `${name}.dict`);
  const inputs = corpus();
  for (const place of [seeds, found]) mkdirSync(place, { recursive: true });
  inputs.forEach((bytes, i) => writeFileSync(join(seeds, String(i)), bytes));
  writeFileSync(
    dictionary,
    wordsOf(inputs, isText)
      .map(
        (word) =>
          `"${[...Buffer.from(word)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}"\n`,
      )
      .join(''),
  );
  const longest = inputs.reduce((most, { length }) => Math.max(most, length), 4096);
  const ended = await run(
    [
      BIN,
      bundle,
      found,
      seeds,
      '--timeout',
      String(TIMEOUT_MS),
      '--',
      `-max_total_time=${seconds}`,
      `-seed=${seed}`,
      `-dict=${dictionary}`,
      `-max_len=${longest}`,
      `-rss_limit_mb=${MOST_MEGABYTES}`,
      `-artifact_prefix=${folder}/${name}-`,
      '-print_final_stats=1',
    ],
    {
      ...process.env,
      QDYLORA_FUZZ_READER: name,
      QDYLORA_FUZZ_FIXTURES: fixtures,
      QDYLORA_FUZZ_SCRATCH: folder,
    },
    join(folder, `${name}.log`),
  );
  return report(name, ended, { files: inputs.length, seconds, seed, folder });
}

function report(name, { output, status }, { files, seconds, seed, folder }) {
  const executed = /stat::number_of_executed_units:\s*(\d+)/.exec(output)?.[1];
  const edges = [...output.matchAll(/\bcov: (\d+)/g)].at(-1)?.[1];
  if (status === 0 && executed !== undefined) {
    console.log(
      `[fuzz] ${name}: ${executed} inputs by Jazzer.js from ${files} files in ${seconds} s, seed ${seed}: ` +
        `${edges} edges, no finding`,
    );
    return true;
  }
  console.error(
    `[fuzz] ${name}: Jazzer.js ended with status ${status} (inputs that did it: ` +
      `${folder}/${name}-*)\n${output.slice(-6000)}`,
  );
  return false;
}

/** Keys and short strings of the corpus, and words to trip over. */
function wordsOf(inputs, isText) {
  const words = new Set(isText ? TOKENS.filter((token) => token.length < 64) : []);
  for (const bytes of inputs)
    for (const [word] of bytes.toString('latin1').matchAll(/"[\w.-]{2,40}"|[a-z][\w.]{4,40}/g))
      if (words.size < 2000) words.add(word);
  return [...words];
}

/** Output goes to a file: libFuzzer loses what a pipe has no room for, its last lines among it. */
const run = (args, env, log) =>
  new Promise((resolve, reject) => {
    const fd = openSync(log, 'w');
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', fd, fd] });
    closeSync(fd);
    child.on('error', reject).on('close', (status) => resolve({ status, output: readFileSync(log, 'utf8') }));
  });
