// Feeds the readers of files from strangers with mutated fixtures: `pnpm fuzz [seconds per reader] [seed] [reader …]`. Whatever is no typed error, takes over a
// second, or costs over 100 MB is kept in a file and ends the run with 1. Needs a build (node scripts/set-up.mjs); the same seed gives the same inputs.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { openCheckpoint, memoryByteSource, readGguf, readPeftAdapter, safetensorsOf, hfConfigOf } from '../packages/checkpoint/dist/index.js';
import { QdyloraError } from '../packages/contract/dist/index.js';
import { loadTokenizer } from '../packages/data/dist/index.js';

const SECONDS = Number(process.argv[2] ?? 60), SEED = Number(process.argv[3] ?? 1), WANTED = process.argv.slice(4);
const LONGEST_MS = 1000, MOST_BYTES = 100e6;
const FIXTURES = new URL('../packages/checkpoint/fixtures/', import.meta.url).pathname, SCRATCH = mkdtempSync(join(tmpdir(), 'qdylora-fuzz-'));

/** mulberry32: small, seeded, good enough to choose bytes. */
function randomOf(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return { below: (n) => next() % Math.max(1, n), pick: (list) => list[next() % list.length] };
}

const NUMBERS = [0, 1, 2, 3, 5, 7, 31, 32, 33, 255, 256, 65535, 65536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53, 2 ** 53 + 2];
const TOKENS = ['null', '-1', '1e308', '1e999', '0.5', '"', '{', '}', '[', ']', '[]', '{}', ':', ',', '"__proto__"', '"constructor"', 'true', '"../../x"', '"\\ud800"', '9007199254740993', '"'.padEnd(3000, 'a')];

/** A changed copy: one to four small accidents, most of them near the start, where headers are. */
function mutated(bytes, random, corpus, isText) {
  let out = Buffer.from(bytes);
  for (let times = 1 + random.below(4); times > 0; times--) {
    const room = random.below(4) === 0 ? out.length : Math.min(out.length, 4096), at = random.below(room), width = 1 + random.below(64);
    const changes = [
      () => { if (out.length > 0) out[at] ^= 1 << random.below(8); },
      () => { if (out.length > 0) out[at] = random.below(256); },
      () => { out = out.subarray(0, at); },
      () => { out = Buffer.concat([out.subarray(0, at), out.subarray(at + width)]); },
      () => { out = Buffer.concat([out.subarray(0, at), out.subarray(at, at + width), out.subarray(at)]); },
      () => { const other = random.pick(corpus), from = random.below(other.length); out = Buffer.concat([out.subarray(0, at), other.subarray(from, from + 1024), out.subarray(at + width)]); },
      () => { if (isText) out = Buffer.concat([out.subarray(0, at), Buffer.from(random.pick(TOKENS)), out.subarray(at + random.below(8))]); else if (at + 8 <= out.length) out.writeBigUInt64LE(BigInt(random.pick(NUMBERS)), at); },
      () => { if (isText) out = Buffer.from(out.toString('utf8').replace(/\d+/g, (number) => (random.below(20) === 0 ? String(random.pick(NUMBERS)) : number))); else if (at + 4 <= out.length) out.writeUInt32LE(random.pick(NUMBERS) % 2 ** 32, at); },
    ];
    random.pick(changes)();
  }
  return Buffer.from(out);
}

const VALUES = [null, true, false, 0, -1, 0.5, 1e308, 2 ** 53, 2 ** 31, '', 'x', '../../x', 'a'.repeat(3000), '(a+)+$', [], {}, [[]], [null], { a: { b: [1] } }, JSON.parse('{"__proto__":{"x":1}}')];

/** A JSON document with one to three values changed, gone, doubled or under another key: most byte accidents are no JSON any more. */
function mutatedJson(bytes, random) {
  let document;
  try { document = JSON.parse(bytes.toString('utf8')); } catch { return bytes; }
  for (let times = 1 + random.below(3); times > 0; times--) {
    let at = document;
    for (let depth = random.below(5); depth > 0; depth--) {
      const inner = Object.values(at ?? {}).filter((value) => typeof value === 'object' && value !== null);
      if (inner.length > 0) at = random.pick(inner);
    }
    if (typeof at !== 'object' || at === null) continue;
    const key = random.pick([...Object.keys(at), 'extra']);
    random.pick([() => { at[key] = random.pick(VALUES); }, () => { delete at[key]; }, () => { at[random.pick(Object.keys(at))] = at[key]; }, () => { at[key] = typeof at[key] === 'number' ? random.pick(NUMBERS) : random.pick(VALUES); }])();
  }
  return Buffer.from(JSON.stringify(document));
}

const filesBelow = (folder, ends) => readdirSync(join(FIXTURES, folder), { recursive: true }).filter((name) => ends.some((end) => name.endsWith(end))).map((name) => join(FIXTURES, folder, name)).filter((path) => statSync(path).size < 300_000);
const readAll = (tensors) => { for (const entry of tensors.values()) { try { entry.readFloat32(); } catch (error) { if (error.code !== 'UNSUPPORTED') throw error; } } };

const TOKENIZER = JSON.stringify({ version: '1.0', added_tokens: [{ id: 3, content: '<s>', special: true }], normalizer: { type: 'NFC' }, pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true }, post_processor: null, decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', unk_token: null, byte_fallback: false, vocab: { a: 0, b: 1, ab: 2, '<s>': 3 }, merges: [['a', 'b']] } });

async function opened(path, use) {
  const checkpoint = await openCheckpoint(path);
  try { use(checkpoint); } finally { checkpoint.dispose(); }
}

/** Each reader: its corpus, and what is done with one input. */
const READERS = {
  safetensors: { corpus: () => filesBelow('.', ['.safetensors']).map((path) => readFileSync(path)), run: (bytes) => readAll(safetensorsOf(memoryByteSource(bytes)).tensors) },
  gguf: {
    corpus: () => filesBelow('.', ['.gguf']).map((path) => readFileSync(path)),
    async run(bytes) {
      readGguf(memoryByteSource(bytes));
      const path = join(SCRATCH, 'x.gguf');
      writeFileSync(path, bytes);
      await opened(path, (checkpoint) => {
        readAll(checkpoint.tensors);
        void checkpoint.tokenizerFiles.tokenizerJson;
        void checkpoint.generation;
      });
    },
  },
  config: { isText: true, corpus: () => filesBelow('models', ['config.json', 'config.legacy.json']).map((path) => readFileSync(path)), run: async (bytes) => {
    const folder = join(SCRATCH, 'model');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'config.json'), bytes);
    await opened(folder, ({ config, generation }) => hfConfigOf('config.json', { ...config.raw, generation }));
  } },
  tokenizer: { isText: true, corpus: () => [Buffer.from(TOKENIZER)], run: async (bytes) => {
    const folder = join(SCRATCH, 'tokenizer');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'config.json'), '{"model_type":"llama"}');
    writeFileSync(join(folder, 'tokenizer.json'), bytes);
    await opened(folder, ({ tokenizerFiles: { tokenizerJson } }) => loadTokenizer({ tokenizerJson, tokenizerConfig: null, chatTemplate: null, specialTokens: {} }).encode('ab <s> aab 12', { addSpecialTokens: true }));
  } },
  adapter: { isText: true, corpus: () => filesBelow('peft/adapters', ['adapter_config.json']).map((path) => readFileSync(path)), run: (bytes, random) => {
    const folder = join(SCRATCH, 'adapter'), weights = random.pick(filesBelow('peft/adapters', ['adapter_model.safetensors'])), own = readFileSync(weights);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'adapter_config.json'), bytes);
    writeFileSync(join(folder, 'adapter_model.safetensors'), random.below(2) === 0 ? own : mutated(own, random, [own], false));
    readPeftAdapter(folder);
  } },
};

/** Runs one reader; what it found, with the input beside it. */
async function fuzz(name, { corpus: load, run, isText = false }) {
  const corpus = load(), random = randomOf(SEED), until = Date.now() + SECONDS * 1000, codes = new Map();
  let inputs = 0;
  for (; Date.now() < until; inputs++) {
    const chosen = random.pick(corpus), input = isText && random.below(8) > 0 ? mutatedJson(chosen, random) : mutated(chosen, random, corpus, isText), start = process.cpuUsage(), before = process.memoryUsage();
    let outcome = 'read';
    try {
      await run(input, random);
    } catch (error) {
      if (!QdyloraError.isInstance(error)) return found(name, input, inputs, `an untyped error: ${error.stack}`);
      outcome = error.code;
    }
    const spent = process.cpuUsage(start), ms = (spent.user + spent.system) / 1000, after = process.memoryUsage(), grown = after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed;
    if (ms > LONGEST_MS) return found(name, input, inputs, `${Math.round(ms)} ms`);
    if (grown > MOST_BYTES) return found(name, input, inputs, `${Math.round(grown / 1e6)} MB`);
    codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
  }
  console.log(`[fuzz] ${name}: ${inputs} inputs from ${corpus.length} files in ${SECONDS} s, seed ${SEED}: ${[...codes].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`).join(', ')}`);
  return true;
}

function found(name, input, index, what) {
  const path = join(tmpdir(), `qdylora-fuzz-${name}-${SEED}-${index}`);
  writeFileSync(path, input);
  console.error(`[fuzz] ${name}: input ${index} of seed ${SEED} (${basename(path)}, ${input.length} bytes, in ${tmpdir()}) gave ${what}`);
  return false;
}

let isClean = true;
for (const [name, reader] of Object.entries(READERS)) if (WANTED.length === 0 || WANTED.includes(name)) isClean = (await fuzz(name, reader)) && isClean;
rmSync(SCRATCH, { recursive: true, force: true });
process.exitCode = isClean ? 0 : 1;
