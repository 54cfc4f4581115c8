// Feeds the readers of files from strangers with hostile inputs:
// `npm run fuzz -- [seconds] [seed] [reader …]`.
// Each reader gets that many seconds of small accidents to valid files (the same seed gives the same inputs),
// and as many of Jazzer.js, which looks for inputs that reach new code. Whatever is no typed error, takes
// over a second, or costs over 100 MB is kept in a file and ends the run with 1. Needs a build (node
// scripts/set-up.mjs).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleTarget, fuzzWithJazzer } from './jazzer.mjs';
import { judge } from './judge.mjs';
import { mutated, mutatedJson, randomOf } from './mutate.mjs';
import { readersOf } from './readers.mjs';

const [seconds = 60, seed = 1] = process.argv.slice(2, 4).map(Number);
const chosenNames = process.argv.slice(4);
const fixtures = fileURLToPath(new URL('../../packages/checkpoint/fixtures/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'qdylora-fuzz-'));
const readers = readersOf({ fixtures, scratch: folder });

/** Small accidents to one reader's corpus. */
async function fuzzWithAccidents(name, { corpus: load, run, isText = false }) {
  const corpus = load();
  const random = randomOf(seed);
  const until = Date.now() + seconds * 1000;
  const codes = new Map();
  let inputs = 0;
  for (; Date.now() < until; inputs++) {
    const chosen = random.pick(corpus);
    const input =
      isText && random.below(8) > 0 ? mutatedJson(chosen, random) : mutated(chosen, random, corpus, isText);
    const { outcome, wrong } = await judge(run, input, random);
    if (wrong) {
      writeFileSync(join(folder, `${name}-${inputs}`), input);
      console.error(
        `[fuzz] ${name}: input ${inputs} of seed ${seed} (${join(folder, `${name}-${inputs}`)}, ` +
          `${input.length} bytes) gave ${wrong}`,
      );
      return false;
    }
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
  }
  console.log(
    `[fuzz] ${name}: ${inputs} accidents to ${corpus.length} files in ${seconds} s, seed ${seed}: ${[...codes]
      .sort((a, b) => b[1] - a[1])
      .map(([code, count]) => `${code} ${count}`)
      .join(', ')}`,
  );
  return true;
}

const unknown = chosenNames.filter((name) => !Object.hasOwn(readers, name));
if (!(seconds > 0) || !Number.isSafeInteger(seed) || unknown.length > 0) {
  console.error(
    `[fuzz] usage: npm run fuzz -- [seconds > 0] [seed] [${Object.keys(readers).join(' | ')} …] ` +
      `(got ${process.argv.slice(2).join(' ')})`,
  );
  process.exit(2);
}
let isClean = true;
const bundle = await bundleTarget(folder);
for (const [name, reader] of Object.entries(readers).filter(
  ([name]) => chosenNames.length === 0 || chosenNames.includes(name),
)) {
  isClean = (await fuzzWithAccidents(name, reader)) && isClean;
  isClean = (await fuzzWithJazzer(name, reader, { bundle, folder, fixtures, seconds, seed })) && isClean;
}
if (isClean) rmSync(folder, { recursive: true, force: true });
process.exitCode = isClean ? 0 : 1;
