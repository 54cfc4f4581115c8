// Quantizes a 7b-shaped model that is made on the spot, and says how fast, with how much memory and how many
// bytes read. `npm run bench quantize-7b [-- --layers 32 --rounds 3 --folder DIR]`.
// Each round is a process of its own; 32 layers are 13.5 GB on disk for the time of the run.
import {
  constants,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statfsSync,
  writeFileSync,
  closeSync,
  readdirSync,
  statSync,
  writeSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PAGE_BYTES, writeShards, type TensorToWrite } from '@qdylora/checkpoint';
import { hostData, wrapBackend, type Backend, type Memory } from '@qdylora/contract';
import { createCpuBackend } from '@qdylora/cpu-kernels';
import { quantizeOn, type Values } from '@qdylora/models';
import { quantizeFolder } from 'qdylora';
import { recordRows } from '@qdylora/testing/bench';
import { median } from './median.mjs';
import { rowOfProcess } from './row-of-process.ts';

const { values } = parseArgs({
  options: {
    layers: { type: 'string', default: '32' },
    rounds: { type: 'string', default: '3' },
    folder: { type: 'string' },
    round: { type: 'string' },
  },
});
const LAYERS = Number(values.layers);
const HIDDEN = 4096;
const WIDE = 11008;
const VOCABULARY = 32000; // LLaMA-7b
const config = {
  model_type: 'llama',
  architectures: ['LlamaForCausalLM'],
  hidden_size: HIDDEN,
  intermediate_size: WIDE,
  num_hidden_layers: LAYERS,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  vocab_size: VOCABULARY,
  rms_norm_eps: 1e-6,
  hidden_act: 'silu',
  max_position_embeddings: 2048,
  rope_theta: 10000,
  tie_word_embeddings: false,
  dtype: 'bfloat16',
};

/**
 * Bytes of bfloat16 numbers between ±0.016 and ±0.031: a fixed pattern, which no file system stores as a
 * hole.
 */
function pattern(length: number): Uint8Array {
  const halves = new Uint16Array(length / 2);
  for (let i = 0, x = 1; i < halves.length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    halves[i] = ((x >>> 16) & 0x807f) | 0x3c80;
  }
  return new Uint8Array(halves.buffer);
}

function* tensors(): Generator<TensorToWrite> {
  const block = pattern(WIDE * HIDDEN * 2);
  const table = pattern(VOCABULARY * HIDDEN * 2);
  const of = (name: string, shape: readonly number[]): TensorToWrite => {
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    return {
      name,
      dtype: 'BF16',
      shape,
      bytes: () => (bytes > block.length ? table : block).subarray(0, bytes),
    };
  };
  yield of('model.embed_tokens.weight', [VOCABULARY, HIDDEN]);
  for (let i = 0; i < LAYERS; i++) {
    const at = `model.layers.${i}`;
    for (const name of ['input_layernorm', 'post_attention_layernorm'])
      yield of(`${at}.${name}.weight`, [HIDDEN]);
    for (const name of ['q', 'k', 'v', 'o'])
      yield of(`${at}.self_attn.${name}_proj.weight`, [HIDDEN, HIDDEN]);
    for (const name of ['gate', 'up']) yield of(`${at}.mlp.${name}_proj.weight`, [WIDE, HIDDEN]);
    yield of(`${at}.mlp.down_proj.weight`, [HIDDEN, WIDE]);
  }
  yield of('model.norm.weight', [HIDDEN]);
  yield of('lm_head.weight', [VOCABULARY, HIDDEN]);
}

const bytesRead = (): number => Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
const sizeOf = (folder: string): number =>
  readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
const seconds = async (work: () => unknown): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
};

/** Memory that begins on a page, which reads and writes past the system's cache need. */
function pages(memory: Memory, bytes: number): Uint8Array {
  const { buffer, byteOffset } = hostData(memory.allocate('u8', [bytes + PAGE_BYTES]));
  return new Uint8Array(buffer, Math.ceil(byteOffset / PAGE_BYTES) * PAGE_BYTES, bytes);
}

/**
 * Opens a file past the system's cache, or through it where the file system has no other way, and gives it to
 * `work`.
 */
function withFile(path: string, flags: number, work: (fd: number) => void): void {
  for (const own of [flags | (constants.O_DIRECT ?? 0), flags]) {
    try {
      const fd = openSync(path, own);
      try {
        return work(fd);
      } finally {
        closeSync(fd);
      }
    } catch (cause) {
      if (own === flags) throw cause;
    }
  }
}

/** Reads every byte of a folder once, and does nothing with it. */
function readThrough(folder: string, piece: Uint8Array): void {
  for (const name of readdirSync(folder))
    withFile(join(folder, name), constants.O_RDONLY, (fd) => {
      for (let at = 0, got = 1; got > 0; at += got) got = readSync(fd, piece, 0, piece.length, at);
    });
}

/** Writes so many bytes in one file, and waits until the disk has them. */
function writeThrough(path: string, bytes: number, piece: Uint8Array): void {
  piece.set(pattern(piece.length));
  withFile(path, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, (fd) => {
    for (let done = 0; done < bytes; done += piece.length) writeSync(fd, piece);
    fsyncSync(fd);
  });
}

/** Takes a folder's files out of the system's cache; true where it could. */
const isEvicted = (folder: string): boolean =>
  readdirSync(folder).every(
    (name) =>
      spawnSync('dd', [`if=${join(folder, name)}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' })
        .status === 0,
  );

/** About what is left of a model of bfloat16. */
const PACKED_SHARE = 0.3;

/** Matrices that the quantizer alone is timed on: 0.8 GB. */
const MATRICES = 24;

/** One round: the disk alone, the quantizer alone, the command, the disk once more. */
async function measureRound(root: string): Promise<object> {
  const source = join(root, 'source');
  const output = join(root, 'nf4');
  const raw = join(root, 'raw');
  const size = sizeOf(source);
  const backend = await createCpuBackend({});
  const piece = pages(backend.memory, 2 ** 24);
  const disk = async (): Promise<{ reading: number; writing: number }> => ({
    reading: await seconds(() => readThrough(source, piece)),
    writing: await seconds(() => writeThrough(raw, size * PACKED_SHARE, piece)),
  });
  const before = await disk();
  const quantizerSeconds = await quantizeAlone(backend, size - 2 * 2 * VOCABULARY * HIDDEN);
  const wasEvicted = isEvicted(source);
  const readBefore = bytesRead();
  const baseline = process.memoryUsage().rss;
  const took = await seconds(() => quantizeFolder({ model: source, outputDir: output }));
  const packed = sizeOf(output);
  const peak = process.resourceUsage().maxRSS * 1024;
  const read = bytesRead() - readBefore;
  const after = await disk();
  const diskOf = ({ reading, writing }: typeof before): number =>
    reading + writing * (packed / (size * PACKED_SHARE));
  const diskSeconds = (diskOf(before) + diskOf(after)) / 2;
  const slower = Math.max(diskSeconds, quantizerSeconds);
  backend.dispose();
  for (const made of [output, raw]) rmSync(made, { recursive: true });
  return {
    layers: LAYERS,
    source_was_in_cache: !wasEvicted,
    source_gb: size / 1e9,
    packed_gb: packed / 1e9,
    seconds: took,
    gb_per_second: size / took / 1e9,
    disk_seconds: diskSeconds,
    disk_before: diskOf(before),
    disk_after: diskOf(after),
    quantizer_seconds: quantizerSeconds,
    share_of_slower: slower / took,
    peak_rss_gb: peak / 1e9,
    rss_before_gb: baseline / 1e9,
    peak_is_within_packed_and_1_gb: peak <= packed + 1e9,
    bytes_read_over_source: read / size,
  };
}

/** Seconds for so many bytes of bfloat16, with nothing to read or write. */
async function quantizeAlone(backend: Backend, bytes: number): Promise<number> {
  const plain = wrapBackend(backend, { packedLayout: undefined });
  const halves = pattern(HIDDEN * HIDDEN * 2);
  const matrix: Values = {
    dtype: 'BF16',
    byteLength: halves.length,
    readInto: (target) => target.set(halves),
    readFloat32Into: () => {
      throw new Error('expected bfloat16 to stay as it is');
    },
  };
  const pack = async (): Promise<void> => {
    const {
      codes,
      levels,
      absmax,
      doubleQuantized: nested,
    } = await quantizeOn(plain, matrix, [HIDDEN, HIDDEN], { kind: 'nf4' });
    for (const view of [codes, levels, absmax, nested?.codes, nested?.absmax, nested?.map])
      if (view) backend.memory.release(view); // else each takes fresh memory, and that is timed
  };
  await pack(); // memory and threads are there
  return (
    (await seconds(async () => {
      for (let i = 0; i < MATRICES; i++) await pack();
    })) *
    (bytes / (MATRICES * halves.length))
  );
}

async function makeSource(root: string): Promise<void> {
  const source = join(root, 'source');
  const need = 2 * (LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * WIDE) + 2 * VOCABULARY * HIDDEN) * 1.4;
  const free = statfsSync(root);
  if (free.bavail * free.bsize < need)
    throw new Error(
      `expected ${Math.ceil(need / 1e9)} GB free in ${root}, got ` +
        `${Math.floor((free.bavail * free.bsize) / 1e9)}`,
    );
  mkdirSync(source);
  writeFileSync(join(source, 'config.json'), JSON.stringify(config));
  await writeShards(source, tensors(), { metadata: { format: 'pt' } });
}

async function measureAll(): Promise<void> {
  const root = mkdtempSync(join(values.folder ?? tmpdir(), 'qdylora-7b-'));
  const self = [
    '--import',
    'tsx',
    '--conditions=source',
    fileURLToPath(import.meta.url),
    '--layers',
    values.layers,
    '--round',
    root,
  ];
  try {
    await makeSource(root);
    const rows = Array.from({ length: Number(values.rounds) }, () => {
      const row = rowOfProcess<{
        readonly seconds: number;
        readonly disk_seconds: number;
        readonly share_of_slower: number;
      }>(process.execPath, self);
      console.log(JSON.stringify(row));
      return row;
    });
    const medians = {
      layers: LAYERS,
      median_seconds: median(rows.map((row) => row.seconds)),
      median_disk_seconds: median(rows.map((row) => row.disk_seconds)),
      median_share_of_slower: median(rows.map((row) => row.share_of_slower)),
    };
    console.log(JSON.stringify(medians));
    recordRows([medians]);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

if (values.round === undefined) await measureAll();
else console.log(JSON.stringify(await measureRound(values.round)));
