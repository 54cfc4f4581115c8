import { fileURLToPath } from 'node:url';
import { openCheckpoint, safetensorsOf, memoryByteSource, type TensorEntry } from '@qdylora/checkpoint';
import { createHostBackend, hostData } from '@qdylora/contract';
import { inferenceContext } from '@qdylora/tensor';
import { describe, expect, test } from 'vitest';
import { buildModel, oneSequence, withSavedWeights, type SavedWeights } from '../index.ts';

const FOLDER = fileURLToPath(new URL('../../fixtures/', import.meta.url));
const HEAD = 'lm_head.weight';
const EMBEDDING = 'model.embed_tokens.weight';

/** A tensor of the given shape, all of one value but for its first. */
function entryOf(name: string, shape: readonly [number, number], value: number): TensorEntry {
  const data = new Float32Array(shape[0] * shape[1]).fill(value);
  data[0] = 1;
  const header = Buffer.from(
    JSON.stringify({ [name]: { dtype: 'F32', shape, data_offsets: [0, data.byteLength] } }),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return safetensorsOf(
    memoryByteSource(Buffer.concat([length, header, Buffer.from(data.buffer)])),
  ).tensors.get(name)!;
}

const savedOf = (
  tensors: readonly TensorEntry[],
  modulesToSave: readonly string[] = [],
  ensureWeightTying = false,
): SavedWeights => ({
  tensors: new Map(tensors.map((entry) => [entry.name, entry])),
  modulesToSave,
  ensureWeightTying,
});

/** Embedding and head of llama-tied with an adapter's weights in it. */
async function built(saved: SavedWeights, name = 'llama-tied') {
  using checkpoint = await openCheckpoint(`${FOLDER}${name}`);
  const files = withSavedWeights(checkpoint, saved);
  const model = await buildModel(files, { backend: createHostBackend(), quantization: { kind: 'none' } });
  const { embedding, head } = model.modules as {
    embedding: { weight: { view: never } };
    head: { weight: { view: never } };
  };
  return {
    model,
    embedding: hostData(embedding.weight.view),
    head: hostData(head.weight.view),
    isTied: embedding.weight === head.weight,
  };
}

const { width, rows } = await (async () => {
  using checkpoint = await openCheckpoint(`${FOLDER}llama-tied`);
  return { width: checkpoint.config.integer('hidden_size'), rows: checkpoint.config.integer('vocab_size') };
})();

describe("weights of an adapter in place of the base's", () => {
  test('a copied embedding leaves a tied head as it was, and the other way round', async () => {
    const plain = await built(savedOf([]));
    const first = await built(savedOf([entryOf(EMBEDDING, [rows, width], 2)], ['embed_tokens']));
    const second = await built(savedOf([entryOf(HEAD, [rows, width], 3)], ['lm_head']));
    expect([plain.isTied, first.isTied, second.isTied]).toEqual([true, false, false]);
    expect([first.embedding[1], [...first.head]]).toEqual([2, [...plain.head]]);
    expect([second.head[1], [...second.embedding]]).toEqual([3, [...plain.embedding]]);
  });

  test('stay tied where the adapter says so, and where the embedding itself was changed', async () => {
    for (const saved of [
      savedOf([entryOf(EMBEDDING, [rows, width], 2)], ['embed_tokens'], true),
      savedOf([entryOf(EMBEDDING, [rows, width], 2)]),
      savedOf([entryOf(EMBEDDING, [rows, width], 2), entryOf(HEAD, [rows, width], 2)]),
    ]) {
      const { isTied, head } = await built(saved);
      expect([isTied, head[1]]).toEqual([true, 2]);
    }
  });

  test.each(['mbed_tokens', 'tokens', 'model.embed_tokens'])(
    'a module is copied if its name ends in an entry of modules_to_save, at a dot or not: %s',
    async (end) => {
      const { isTied, embedding } = await built(savedOf([entryOf(EMBEDDING, [rows, width], 2)], [end]));
      expect([isTied, embedding[1]]).toEqual([false, 2]);
    },
  );

  test('a tie is kept only for an embed_tokens or lm_head of modules_to_save', async () => {
    for (const [end, isTied] of [
      ['tokens', false],
      ['model.embed_tokens', true],
    ] as const)
      expect(await built(savedOf([entryOf(EMBEDDING, [rows, width], 2)], [end], true))).toMatchObject({
        isTied,
      });
  });

  test('a saved head of a tied model is its embedding, and must not differ from a saved one', async () => {
    const { isTied, embedding } = await built(savedOf([entryOf(HEAD, [rows + 3, width], 3)]));
    expect([isTied, embedding[1], embedding.length]).toEqual([true, 3, (rows + 3) * width]);
    for (const other of [entryOf(HEAD, [rows, width], 3), entryOf(HEAD, [rows + 1, width], 2)])
      await expect(built(savedOf([entryOf(EMBEDDING, [rows, width], 2), other]))).rejects.toMatchObject({
        code: 'BAD_ADAPTER',
        message: expect.stringContaining(`ties ${HEAD} to ${EMBEDDING}, but`) as string,
      });
  });

  test('a module of modules_to_save that the model has must have its weights in the file', async () => {
    const embedding = entryOf(EMBEDDING, [rows, width], 2);
    expect((await built(savedOf([embedding], ['classifier', 'embed_tokens', 'score']))).embedding[1]).toBe(2);
    for (const lost of [savedOf([embedding], ['embed_tokens', 'lm_head']), savedOf([], ['lm_head'])])
      await expect(built(lost)).rejects.toMatchObject({
        code: 'BAD_ADAPTER',
        message: expect.stringContaining(
          `names the module of ${HEAD}, but the adapter's file has no`,
        ) as string,
      });
  });

  test('a vocabulary that has grown is grown, tied or not', async () => {
    const tied = await built(savedOf([entryOf(EMBEDDING, [rows + 3, width], 2)]));
    const apart = await built(
      savedOf(
        [entryOf(EMBEDDING, [rows + 3, width], 2), entryOf(HEAD, [rows + 3, width], 3)],
        ['embed_tokens', 'lm_head'],
      ),
    );
    for (const { model } of [tied, apart])
      expect([
        model.config.vocabularySize,
        hostData(model.logits(inferenceContext(model.backend), oneSequence([1, rows + 2])).view).length,
      ]).toEqual([rows + 3, 2 * (rows + 3)]);
  });

  test("GPT-NeoX's head is found by its name in files and by transformers 5's lm_head", async () => {
    using checkpoint = await openCheckpoint(`${FOLDER}gpt-neox-parallel`);
    const shape = [
      checkpoint.config.integer('vocab_size'),
      checkpoint.config.integer('hidden_size'),
    ] as const;
    for (const [name, end = name] of [['embed_out'], ['lm_head'], ['lm_head', 'head']] as const) {
      const { isTied, head } = await built(
        savedOf([entryOf(`${name}.weight`, shape, 3)], [end]),
        'gpt-neox-parallel',
      );
      expect([isTied, head[0], head[1]]).toEqual([false, 1, 3]);
    }
  });

  test('of other shapes or names are BAD_ADAPTER, and a linear layer is UNSUPPORTED by name', async () => {
    await expect(built(savedOf([entryOf(EMBEDDING, [rows, width + 1], 2)]))).rejects.toMatchObject({
      code: 'BAD_ADAPTER',
      message: expect.stringContaining(EMBEDDING) as string,
    });
    await expect(built(savedOf([entryOf('score.weight', [2, width], 2)]))).rejects.toMatchObject({
      code: 'BAD_ADAPTER',
      message: expect.stringContaining('The model has no weight score.weight') as string,
    });
    await expect(
      built(savedOf([entryOf('model.layers.0.self_attn.q_proj.weight', [width, width], 2)])),
    ).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('q_proj') as string });
  });
});
