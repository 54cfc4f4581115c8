import { fileURLToPath } from 'node:url';
import { hfConfigOf, openCheckpoint, type Checkpoint, type TensorEntry } from '@qdylora/checkpoint';
import { createHostBackend, hostData } from '@qdylora/contract';
import { inferenceContext } from '@qdylora/tensor';
import { afterAll, expect, it } from 'vitest';
import { oneSequence } from '../decoder/batch-arrays.ts';
import { buildModel } from '../builders/build-model.ts';
import { locateWeights } from './locate-weights.ts';
import { withOwnHead } from './with-own-head.ts';
import type { WeightFiles } from './with-saved-weights.ts';

const opened: Checkpoint[] = [];
afterAll(() => {
  for (const checkpoint of opened) checkpoint.dispose();
});

async function open(name: string): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url)));
  opened.push(checkpoint);
  return checkpoint;
}

async function logitsOf(files: WeightFiles): Promise<number[]> {
  const backend = createHostBackend();
  const model = await buildModel(files, { backend, quantization: { kind: 'none' } });
  return Array.from(hostData(model.logits(inferenceContext(backend), oneSequence([1, 2, 3])).view));
}

/** A float32 tensor in memory. */
const entryOf = (name: string, shape: readonly number[], values: Float32Array<ArrayBuffer>): TensorEntry => ({
  name,
  dtype: 'F32',
  shape,
  byteLength: 4 * values.length,
  readFloat32: () => values.slice(),
  readFloat32Into: (target) => {
    target.set(values);
  },
  readBytes: () => new Uint8Array(values.slice().buffer),
  readInto: (target, at = 0) => {
    target.set(new Uint8Array(values.buffer, at, target.length));
  },
});

const [HEAD, EMBEDDING] = ['lm_head.weight', 'model.embed_tokens.weight'];
const withHead = (files: Checkpoint, head: TensorEntry): WeightFiles => ({
  name: files.name,
  config: files.config,
  tensors: new Map([...files.tensors, [HEAD, head]]),
});

it(
  'a tied model whose files hold another head computes with that one, as one that says so, and its config ' +
    'says so',
  async () => {
    const tied = await open('llama-tied');
    const embedding = tied.tensors.get(EMBEDDING)!;
    const neverTied = await open('llama-gqa');
    expect(tied.config.raw.tie_word_embeddings).toBe(true);
    const values = embedding.readFloat32().map((value, i) => Math.fround(Math.sin(i) - value));
    const files = withHead(tied, entryOf(HEAD, embedding.shape, values));
    const untied = withOwnHead(files);
    const explicit: WeightFiles = {
      ...files,
      config: hfConfigOf(tied.config.path, { ...tied.config.raw, tie_word_embeddings: false }),
    };
    expect(untied.config.raw).toEqual(explicit.config.raw);
    expect(locateWeights(untied).map(({ name }) => name)).toContain(HEAD);
    expect(await logitsOf(files)).toEqual(await logitsOf(explicit));
    expect(await logitsOf(files)).not.toEqual(await logitsOf(tied));
    expect(withOwnHead(neverTied)).toBe(neverTied); // not tied in the first place
  },
);

it('a head that is a copy of the embedding stays tied', async () => {
  const tied = await open('llama-tied');
  const files = withHead(tied, tied.tensors.get(EMBEDDING)!);
  expect(withOwnHead(tied)).toBe(tied);
  expect(withOwnHead(files)).toBe(files);
  expect(locateWeights(files).map(({ name }) => name)).not.toContain(HEAD);
});

it('a head that differs from the embedding in any one number is another head', async () => {
  const { name, config } = await open('llama-tied');
  const shape = [12_000, 64];
  const values = Float32Array.from({ length: 12_000 * 64 }, (_, i) => Math.sin(i)); // 3 MiB
  const withTables = (changed: number): WeightFiles => {
    const head = values.map((value, i) => (i === changed ? -5 * value : value));
    const tables = [entryOf(EMBEDDING, shape, values), entryOf(HEAD, shape, head)];
    return { name, config, tensors: new Map(tables.map((table) => [table.name, table])) };
  };
  for (const changed of [1, 1234 * 64, 2 ** 18, values.length - 1])
    expect(withOwnHead(withTables(changed)).config.raw.tie_word_embeddings, `${changed}`).toBe(false);
  const copied = withTables(-1);
  expect(withOwnHead(copied)).toBe(copied);
});

it('a tied model whose files hold the head alone computes as one that holds the embedding', async () => {
  const tied = await open('llama-tied');
  const headAlone: WeightFiles = {
    name: tied.name,
    config: tied.config,
    tensors: new Map([...tied.tensors].map(([name, entry]) => [name === EMBEDDING ? HEAD : name, entry])),
  };
  expect(await logitsOf(headAlone)).toEqual(await logitsOf(tied));
  expect(withOwnHead(headAlone).config).toBe(tied.config);
  expect(locateWeights(withOwnHead(headAlone))).toEqual(locateWeights(tied));
});
