import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../open-checkpoint.ts';
import { memoryByteSource, openByteSource } from '../read/byte-source.ts';
import { errorOf, rejectionOf } from '../test-support/error-of.ts';
import { fixturePath } from '../test-support/fixture-path.ts';
import {
  f32,
  f32s,
  flag,
  ggufBytes,
  text,
  texts,
  u32,
  u32s,
  type GgufKey,
  type GgufTensorInfo,
} from '../test-support/gguf-bytes.ts';
import { temporaryFolder } from '@qdylora/testing/node';
import { GGML_TYPES } from './file/ggml-types.ts';
import { ggufEntry } from './gguf-entry.ts';
import { readGguf } from './file/read-gguf.ts';
import { interleavedRow } from './tensor-layout.ts';

const root = temporaryFolder();
let files = 0;

const LLAMA: readonly GgufKey[] = [
  text('general.architecture', 'llama'),
  u32('llama.block_count', 1),
  u32('llama.context_length', 64),
  u32('llama.embedding_length', 8),
  u32('llama.feed_forward_length', 16),
  u32('llama.attention.head_count', 2),
  u32('llama.attention.head_count_kv', 1),
  f32('llama.attention.layer_norm_rms_epsilon', 1e-5),
];

/** A file with the keys of a small Llama, some of them replaced. */
function openWith(keys: readonly GgufKey[], tensors: readonly Omit<GgufTensorInfo, 'offset'>[] = []) {
  const path = join(root, `${files++}.gguf`);
  const replaced = new Set(keys.map(([key]) => key));
  let offset = 0;
  const placed = [{ name: 'token_embd.weight', sizes: [8, 4], type: 0 }, ...tensors].map((tensor) => {
    const at = offset;
    offset += Math.ceil(tensor.sizes.reduce<number>((product, size) => product * Number(size), 4) / 32) * 32;
    return { ...tensor, offset: at };
  });
  writeFileSync(
    path,
    ggufBytes({
      keys: [...LLAMA.filter(([key]) => !replaced.has(key)), ...keys],
      tensors: placed,
      data: offset,
    }),
  );
  return openCheckpoint(path);
}

describe('rows of q and k', () => {
  it('row i and its partner half a head further lie side by side in the file', () => {
    const order = interleavedRow(4);
    expect([0, 1, 2, 3, 4, 5, 6, 7].map(order)).toEqual([0, 2, 1, 3, 4, 6, 5, 7]);
  });

  it('come back in Hugging Face order, as bytes, in pieces and as values alike; v stays', async () => {
    const path = fixturePath('gguf/llama-mixed.gguf');
    const checkpoint = await openCheckpoint(path);
    const source = openByteSource(path, 'gguf');
    const { tensors } = readGguf(source);
    for (const [name, ggufName, heads] of [
      ['self_attn.q_proj', 'attn_q', 4],
      ['self_attn.k_proj', 'attn_k', 2],
      ['self_attn.v_proj', 'attn_v', 0],
    ] as const) {
      const entry = checkpoint.tensors.get(`model.layers.1.${name}.weight`)!;
      const raw = ggufEntry(source, tensors.get(`blk.1.${ggufName}.weight`)!);
      const rows = entry.shape[0];
      const columns = entry.shape[1];
      const order = heads ? interleavedRow(rows / heads) : (row: number) => row;
      const values = entry.readFloat32();
      const inFile = raw.readFloat32();
      for (let row = 0; row < rows; row++)
        expect(values.subarray(row * columns, (row + 1) * columns)).toEqual(
          inFile.subarray(order(row) * columns, (order(row) + 1) * columns),
        );
      const bytes = entry.readBytes();
      const piece = new Uint8Array(bytes.length - 20);
      entry.readInto(piece, 13); // begins and ends within a row
      expect(piece).toEqual(bytes.subarray(13, bytes.length - 7));
    }
    expect(checkpoint.tensors.get('model.layers.0.self_attn.q_proj.weight')!.dtype).toBe('Q4_0');
    source.close();
    checkpoint.dispose();
  });
});

it.each([
  ['as they lie', (row: number) => row],
  ['far apart', (row: number) => (row * 37) % 100],
  ['backwards', (row: number) => 99 - row],
] as const)('rows %s are the same bytes read whole and in pieces of any length and place', (_, order) => {
  const file = Uint8Array.from({ length: 100 * 36 + 7 }, (_, i) => (i * 31) % 251);
  const source = memoryByteSource(file);
  const entry = ggufEntry(
    source,
    { name: 'w', type: GGML_TYPES.get(0)!, shape: [100, 9], begin: 7, byteLength: 3600 },
    { fileRowOf: order },
  );
  const want = Uint8Array.from(
    { length: 3600 },
    (_, i) => file[7 + order(Math.floor(i / 36)) * 36 + (i % 36)],
  );
  fc.assert(
    fc.property(fc.nat(3600), fc.nat(3600), (a, b) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      const piece = new Uint8Array(to - from);
      entry.readInto(piece, from);
      expect(piece).toEqual(want.subarray(from, to));
    }),
    {
      examples: [
        [0, 3600],
        [35, 37],
        [0, 0],
        [3600, 3600],
      ],
    },
  );
});

describe('what a GGUF file says about its model', () => {
  it('grouped heads, head size, tied embeddings and defaults', async () => {
    const { config } = await openWith([]);
    expect(config.raw).toMatchObject({
      model_type: 'llama',
      num_key_value_heads: 1,
      head_dim: 4,
      vocab_size: 4,
      tie_word_embeddings: true,
      rope_parameters: { rope_type: 'default', rope_theta: 10_000 },
    });
  });

  it('rope scaling and partly rotated heads', async () => {
    const { config } = await openWith([
      text('llama.rope.scaling.type', 'yarn'),
      f32('llama.rope.scaling.factor', 4),
      u32('llama.rope.scaling.original_context_length', 16),
      u32('llama.rope.dimension_count', 2),
    ]);
    expect(config.rope).toMatchObject({
      type: 'yarn',
      factor: 4,
      originalMaxPositionEmbeddings: 16,
      partialRotaryFactor: 0.5,
    });
    await rejectionOf(
      openWith([text('llama.rope.scaling.type', 'yarn'), f32('llama.rope.scaling.attn_factor', 2)]),
      'UNSUPPORTED',
    );
  });

  it('numbers per layer must agree', async () => {
    expect(
      (await openWith([u32s('llama.feed_forward_length', [16, 16])])).config.integer('intermediate_size'),
    ).toBe(16);
    await rejectionOf(openWith([u32s('llama.feed_forward_length', [16, 32])]), 'UNSUPPORTED');
    await rejectionOf(openWith([texts('llama.feed_forward_length', ['16'])]), 'BAD_CONFIG');
  });

  it('what cannot be read is refused by name', async () => {
    expect(
      (await rejectionOf(openWith([text('general.architecture', 'mamba')]), 'UNSUPPORTED_ARCHITECTURE'))
        .message,
    ).toMatch(/"mamba" is not supported\. Supported: llama, qwen2, qwen3/);
    await rejectionOf(openWith([u32('general.architecture', 1)]), 'UNSUPPORTED_ARCHITECTURE');
    expect((await rejectionOf(openWith([u32('llama.block_count', 2 ** 31)]), 'BAD_CONFIG')).message).toMatch(
      /`llama\.block_count` must be .*at most 4096 layers/,
    );
    expect((await rejectionOf(openWith([u32('llama.expert_count', 8)]), 'UNSUPPORTED')).message).toMatch(
      /only dense models are supported, but this one has 8 experts/,
    );
    expect((await rejectionOf(openWith([u32('split.count', 3)]), 'UNSUPPORTED')).message).toMatch(
      /llama-gguf-split --merge/,
    );
    expect(
      (
        await rejectionOf(
          openWith([text('general.type', 'adapter'), text('adapter.type', 'lora')]),
          'UNSUPPORTED',
        )
      ).message,
    ).toMatch(/of the kind "adapter", not a model.*--adapter/);
    expect((await rejectionOf(openWith([text('general.type', 'mmproj')]), 'UNSUPPORTED')).message).toMatch(
      /kind "mmproj".*language model/,
    );
    await expect(openWith([text('general.type', 'model')])).resolves.toBeDefined();
  });

  it('the second part of a split model has no architecture, and is named a part all the same', async () => {
    const path = join(root, 'm-00002-of-00003.gguf');
    writeFileSync(
      path,
      ggufBytes({
        keys: [
          ['split.no', 2, [{ raw: Uint8Array.of(1, 0) }]],
          ['split.count', 2, [{ raw: Uint8Array.of(3, 0) }]],
        ],
        tensors: [{ name: 'blk.0.attn_norm.weight', sizes: [8], type: 0, offset: 0 }],
        data: 32,
      }),
    );
    expect((await rejectionOf(openCheckpoint(path), 'UNSUPPORTED')).message).toMatch(/one of 3 parts/);
    expect(
      (
        await rejectionOf(
          openWith([], [{ name: 'blk.0.ffn_gate_exps.weight', sizes: [8], type: 0 }]),
          'UNSUPPORTED',
        )
      ).message,
    ).toMatch(/the tensor "blk.0.ffn_gate_exps.weight" does not belong to a dense decoder/);
    await rejectionOf(openWith([], [{ name: '../../x', sizes: [8], type: 0 }]), 'UNSUPPORTED');
    await rejectionOf(openWith([text('llama.block_count', '1')]), 'BAD_CONFIG');
    expect(
      (
        await rejectionOf(
          openWith([u32('llama.attention.head_count', 3), u32('llama.attention.head_count_kv', 2)]),
          'BAD_CONFIG',
        )
      ).message,
    ).toMatch(/a divisor of 3 heads/); // groups of one and a half heads
    for (const key of ['block_count', 'embedding_length', 'attention.head_count', 'attention.head_count_kv'])
      expect((await rejectionOf(openWith([u32(`llama.${key}`, 0)]), 'BAD_CONFIG')).message).toMatch(
        /`llama.* must be a whole number ≥ 1/,
      );
    expect(
      (await rejectionOf(openWith([], [{ name: 'blk.0.attn_q.weight', sizes: [8, 6], type: 0 }]), 'BAD_FILE'))
        .message,
    ).toMatch(/"blk.0.attn_q.weight" has 6 rows, which are not 2 heads of an even size/);
  });
});

describe('a tokenizer made from a GGUF vocabulary', () => {
  const kind = (model: string, pre: string) => [
    text('tokenizer.ggml.model', model),
    text('tokenizer.ggml.pre', pre),
  ];
  const BYTES = [
    texts('tokenizer.ggml.tokens', ['<s>', 'a', 'b', 'ab', '__proto__']),
    u32s('tokenizer.ggml.token_type', [3, 1, 1, 1, 4]),
    texts('tokenizer.ggml.merges', ['a b']),
    u32('tokenizer.ggml.bos_token_id', 0),
  ];
  interface TokenizerJson {
    model: {
      vocab: Record<string, number>;
      merges: [string, string][];
      ignore_merges: boolean;
      byte_fallback: boolean;
      unk_token: string | null;
    };
    added_tokens: unknown[];
    pre_tokenizer: unknown;
    post_processor: unknown;
    normalizer: unknown;
    decoder: unknown;
  }
  const jsonOf = async (keys: readonly GgufKey[]) =>
    (await openWith(keys)).tokenizerFiles.tokenizerJson as TokenizerJson;

  it('byte-level BPE has vocabulary, merges and special tokens', async () => {
    const json = await jsonOf([...kind('gpt2', 'smollm'), ...BYTES]);
    expect(Object.entries(json.model.vocab)).toEqual([
      ['<s>', 0],
      ['a', 1],
      ['b', 2],
      ['ab', 3],
      ['__proto__', 4],
    ]);
    expect(json.model.merges).toEqual([['a', 'b']]);
    expect(json.added_tokens).toMatchObject([
      { id: 0, content: '<s>', special: true },
      { id: 4, content: '__proto__', special: false },
    ]);
    expect(json.pre_tokenizer).toMatchObject({
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', use_regex: true },
      ],
    });
    expect(json.post_processor).toMatchObject({ single: [{ Sequence: { id: 'A' } }] });
  });

  it('each kind of splitting has its own parts', async () => {
    expect(await jsonOf([...kind('gpt2', 'gpt-2'), ...BYTES])).toMatchObject({
      pre_tokenizer: { type: 'ByteLevel', use_regex: true },
      normalizer: null,
    });
    const llama = await jsonOf([...kind('gpt2', 'llama-bpe'), ...BYTES]);
    const qwen = await jsonOf([...kind('gpt2', 'qwen2'), ...BYTES]);
    expect(llama).toMatchObject({
      model: { ignore_merges: true },
      post_processor: {
        single: [{ SpecialToken: { id: '<s>' } }, {}],
        special_tokens: { '<s>': { ids: [0] } },
      },
    });
    expect(qwen).toMatchObject({ model: { ignore_merges: false }, normalizer: { type: 'NFC' } });
    expect(JSON.stringify(llama.pre_tokenizer)).toContain('\\\\p{N}{1,3}|');
    expect(JSON.stringify(qwen.pre_tokenizer)).toContain('\\\\p{N}|');
    expect(
      await jsonOf([...kind('gpt2', 'llama-bpe'), flag('tokenizer.ggml.add_bos_token', false), ...BYTES]),
    ).toMatchObject({ post_processor: { special_tokens: {} } });
  });

  it('SentencePiece scores become merges, best joint first', async () => {
    const json = await jsonOf([
      text('tokenizer.ggml.model', 'llama'),
      texts('tokenizer.ggml.tokens', ['<unk>', '<s>', '<0x41>', '▁', 'a', 'b', 'ab', '▁a', '▁ab']),
      u32s('tokenizer.ggml.token_type', [2, 3, 6, 1, 1, 1, 1, 1, 1]),
      f32s('tokenizer.ggml.scores', [0, 0, 0, -9, -8, -7, -2, -1, -3]),
      u32('tokenizer.ggml.unknown_token_id', 0),
      u32('tokenizer.ggml.bos_token_id', 1),
    ]);
    expect(json.model.merges).toEqual([
      ['▁', 'a'],
      ['a', 'b'],
      ['▁', 'ab'],
      ['▁a', 'b'],
    ]);
    expect(json).toMatchObject({
      model: { byte_fallback: true, unk_token: '<unk>' },
      normalizer: { normalizers: [{ type: 'Prepend', prepend: '▁' }, { type: 'Replace' }] },
      post_processor: { single: [{ SpecialToken: { id: '<s>' } }, {}] },
    });
  });

  it('what is not known is UNSUPPORTED when it is asked for, and damage is told', async () => {
    const failing = async (keys: readonly GgufKey[], code: 'UNSUPPORTED' | 'BAD_FILE' | 'BAD_CONFIG') => {
      const checkpoint = await openWith(keys);
      return errorOf(() => checkpoint.tokenizerFiles.tokenizerJson, code).message;
    };
    expect(await failing([...kind('gpt2', 'whistle'), ...BYTES], 'UNSUPPORTED')).toMatch(
      /tokenizer.ggml.pre is "whistle", which is not supported. Supported: gpt-2, .*smollm/,
    );
    expect(await failing([text('tokenizer.ggml.model', 'gpt2'), ...BYTES], 'UNSUPPORTED')).toMatch(
      /tokenizer.ggml.pre is missing.* llama models have several ways/,
    );
    expect(await failing([...kind('bert', ''), ...BYTES], 'UNSUPPORTED')).toMatch(
      /tokenizer.ggml.model is "bert", which is not supported. Supported: gpt2, llama, t5/,
    );
    expect(
      await failing(
        [...kind('t5', ''), ...BYTES, u32s('tokenizer.ggml.precompiled_charsmap', [1])],
        'UNSUPPORTED',
      ),
    ).toMatch(/maps characters before it splits text/);
    await failing([...kind('t5', ''), ...BYTES], 'BAD_FILE'); // no scores
    const without = (key: string, ...more: GgufKey[]) => [
      ...kind('gpt2', 'gpt-2'),
      ...BYTES.filter(([name]) => name !== key),
      ...more,
    ];
    await failing(without('tokenizer.ggml.merges', texts('tokenizer.ggml.merges', ['a c'])), 'BAD_FILE');
    await failing(without('tokenizer.ggml.merges', texts('tokenizer.ggml.merges', ['ab'])), 'BAD_FILE');
    await failing(without('tokenizer.ggml.merges'), 'BAD_CONFIG');
    await failing(without('tokenizer.ggml.token_type', u32s('tokenizer.ggml.token_type', [1])), 'BAD_FILE');
    await failing(
      without('tokenizer.ggml.tokens', texts('tokenizer.ggml.tokens', ['a', 'a', 'b', 'ab', 'c'])),
      'BAD_FILE',
    );
    await failing([text('tokenizer.ggml.model', 'llama'), ...BYTES], 'BAD_FILE');
    const checkpoint = await openWith(
      without('tokenizer.ggml.bos_token_id', u32('tokenizer.ggml.bos_token_id', 99)),
    );
    errorOf(() => checkpoint.tokenizerFiles.specialTokens, 'BAD_FILE');
    expect((await openWith([])).tokenizerFiles.tokenizerJson).toBeNull();
  });
});
