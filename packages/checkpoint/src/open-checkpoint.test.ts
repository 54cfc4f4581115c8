import { copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from './open-checkpoint.ts';
import { tensorOf } from './safetensors/tensor-of.ts';
import { writeSafetensors } from './safetensors/write-file.ts';
import { errorOf, rejectionOf } from './test-support/error-of.ts';
import { fixturePath } from './test-support/fixture-path.ts';
import { temporaryFolder } from '@qdylora/testing/node';

const root = temporaryFolder();
let folders = 0;
/** A copy of a fixture folder, with files added (text, or null to leave out). */
function folderWith(files: Record<string, unknown>, from = 'models/llama-nf4-double-bf16'): string {
  const folder = join(root, `model${folders++}`);
  cpSync(fixturePath(from), folder, { recursive: true });
  for (const [name, value] of Object.entries(files))
    writeFileSync(join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
  return folder;
}

describe('openCheckpoint', () => {
  it('opens a folder, its index, a lone file and a folder with one GGUF file', async () => {
    const sharded = await openCheckpoint(fixturePath('models/llama-gqa'));
    expect([sharded.name, sharded.format, sharded.config.modelType, sharded.tensors.size]).toEqual([
      'llama-gqa',
      'safetensors',
      'llama',
      21,
    ]);
    const lone = await openCheckpoint(fixturePath('models/llama-gqa/model-00001-of-00005.safetensors'));
    expect([lone.name, lone.config.modelType, [...lone.tensors.keys()]]).toEqual([
      'model-00001-of-00005',
      'llama',
      ['model.embed_tokens.weight'],
    ]);
    const folder = join(root, 'gguf');
    mkdirSync(folder);
    copyFileSync(fixturePath('gguf/llama-mixed.gguf'), join(folder, 'llama-mixed.gguf'));
    const gguf = await openCheckpoint(folder);
    expect([gguf.name, gguf.format]).toEqual(['llama-mixed', 'gguf']);
    for (const open of [sharded, lone, gguf]) open.dispose();
  });

  it('shows 4-bit tensors under their own names', async () => {
    const checkpoint = await openCheckpoint(fixturePath('models/llama-nf4-double-bf16'));
    const name = 'model.layers.0.self_attn.q_proj.weight';
    expect([...checkpoint.tensors.keys()].filter((key) => key.startsWith(name)).sort()).toEqual(
      [
        '',
        '.absmax',
        '.nested_absmax',
        '.nested_quant_map',
        '.quant_map',
        '.quant_state.bitsandbytes__nf4',
      ].map((end) => name + end),
    );
    expect(
      JSON.parse(
        Buffer.from(checkpoint.tensors.get(`${name}.quant_state.bitsandbytes__nf4`)!.readBytes()).toString(),
      ),
    ).toMatchObject({ quant_type: 'nf4', shape: [64, 64] });
    checkpoint.dispose();
  });

  it('names the weights of other programs, and what to do with them', async () => {
    const messageFor = async (...names: string[]): Promise<string> => {
      const folder = join(root, `other${folders++}`);
      mkdirSync(folder);
      for (const name of ['config.json', ...names])
        writeFileSync(join(folder, name), name === 'config.json' ? '{"model_type":"llama"}' : 'x');
      const checkpoint = await openCheckpoint(folder);
      return errorOf(() => checkpoint.tensors, 'MISSING_FILE').message;
    };
    expect(await messageFor('pytorch_model.bin', 'training_args.bin')).toMatch(
      /only pytorch_model\.bin\. Such a file can run code when it is read.*save_pretrained/,
    );
    expect(await messageFor('model.onnx', 'tf_model.h5')).toMatch(
      /only model\.onnx, tf_model\.h5\. Weights of TensorFlow, Flax and ONNX are not read\. Take the safet/,
    );
    expect(
      await messageFor(
        'pytorch_model-00001-of-00002.bin',
        'pytorch_model-00002-of-00002.bin',
        'pytorch_model.bin.index.json',
      ),
    ).toMatch(/only pytorch_model-00001-of-00002\.bin, pytorch_model-00002-of-00002\.bin\./);
    expect(await messageFor('consolidated.00.pth')).toMatch(/only consolidated\.00\.pth/);
    expect(await messageFor('training_args.bin')).toMatch(/has neither .*\. Download the weights/);
  });

  it('tells a pointer of Git LFS and a web page from a file that was cut short', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n';
    const page = '<!DOCTYPE html><html>not found</html>';
    for (const [text, said] of [
      [pointer, /not a safetensors file but Git LFS's pointer to it\. .*git lfs pull/],
      [page, /but a web page/],
    ] as const) {
      expect(
        (await rejectionOf(openCheckpoint(folderWith({ 'model.safetensors': text })), 'BAD_FILE')).message,
      ).toMatch(said);
    }
    const { tokenizerFiles } = await openCheckpoint(folderWith({ 'tokenizer.json': pointer }));
    expect(errorOf(() => tokenizerFiles.tokenizerJson, 'BAD_FILE').message).toMatch(
      /not JSON but Git LFS's pointer/,
    );
  });

  it('says what to do where there is nothing', async () => {
    expect((await rejectionOf(openCheckpoint('HuggingFaceTB/SmolLM2-135M'), 'MISSING_FILE')).message).toMatch(
      /name on the Hugging Face hub: fetchModel/,
    );
    expect((await rejectionOf(openCheckpoint(join(root, 'nowhere')), 'MISSING_FILE')).message).toMatch(
      /Check the path/,
    );
    expect(
      (await rejectionOf(openCheckpoint(fixturePath('peft/adapters/qv')), 'MISSING_FILE')).message,
    ).toMatch(
      /has no config\.json.*PEFT adapter: name its base as the model, and this folder as the adapter/,
    );
    expect((await rejectionOf(openCheckpoint(fixturePath('SHA256SUMS')), 'BAD_FILE')).message).toMatch(
      /(must be|There is no) (a )?folder, (a )?\.safetensors or (a )?\.gguf file/,
    );
    expect((await rejectionOf(openCheckpoint(fixturePath('gguf')), 'MISSING_FILE')).message).toMatch(
      /a single .gguf file \(got 4|a single .safetensors file \(got 2/,
    );
  });

  it('a config without weights can be read; missing weights are an error when they are used', async () => {
    const checkpoint = await openCheckpoint(fixturePath('models/mixtral-unsupported'));
    expect(checkpoint.config.modelType).toBe('mixtral');
    errorOf(() => checkpoint.tensors, 'MISSING_FILE');
    const folder = folderWith({ 'pytorch_model.bin': '' }, 'models/mixtral-unsupported');
    expect(errorOf(() => checkpoint.fingerprint(), 'MISSING_FILE').message).toMatch(/Download the weights/);
    const pickled = await openCheckpoint(folder);
    expect(errorOf(() => pickled.tensors, 'MISSING_FILE').message).toMatch(/can run code/);
  });

  it('a file that leads outside the folder is refused unless links are wanted', async () => {
    const folder = join(root, 'links');
    mkdirSync(folder);
    symlinkSync(fixturePath('models/llama-nf4-double-bf16/config.json'), join(folder, 'config.json'));
    await rejectionOf(openCheckpoint(folder), 'BAD_FILE');
    expect((await openCheckpoint(folder, { followLinks: true })).config.modelType).toBe('llama');
  });

  it('cannot be used after dispose', async () => {
    const checkpoint = await openCheckpoint(fixturePath('models/llama-gqa'));
    const entry = checkpoint.tensors.get('model.norm.weight')!;
    checkpoint[Symbol.dispose]();
    checkpoint.dispose();
    errorOf(() => checkpoint.tensors, 'DISPOSED');
    errorOf(() => entry.readFloat32(), 'DISPOSED');
  });
});

describe('tokenizer and generation files', () => {
  it('are null where there are none', async () => {
    const { tokenizerFiles, generationConfig, generation } = await openCheckpoint(folderWith({}));
    expect([
      tokenizerFiles.tokenizerJson,
      tokenizerFiles.tokenizerConfig,
      tokenizerFiles.chatTemplate,
      generationConfig,
    ]).toEqual([null, null, null, null]);
    expect(tokenizerFiles.specialTokens).toEqual({ bos: null, eos: null, pad: null });
    expect(generation).toEqual({ eosTokenIds: [2], bosTokenId: 1, padTokenId: 0 });
  });

  it('a template is text, the default of a list, or a file of its own', async () => {
    const templateOf = async (files: Record<string, unknown>) =>
      (await openCheckpoint(folderWith(files))).tokenizerFiles.chatTemplate;
    expect(await templateOf({ 'tokenizer_config.json': { chat_template: 'one' } })).toBe('one');
    expect(
      await templateOf({
        'tokenizer_config.json': {
          chat_template: [
            { name: 'tool_use', template: 'two' },
            { name: 'default', template: 'three' },
          ],
        },
      }),
    ).toBe('three');
    expect(
      await templateOf({
        'tokenizer_config.json': { chat_template: 'one' },
        'chat_template.jinja': 'four\n',
      }),
    ).toBe('four\n');
  });

  it('of several templates one is for tools; without a default there is none', async () => {
    const of = async (files: Record<string, unknown>) => {
      const { tokenizerFiles } = await openCheckpoint(folderWith(files));
      return [tokenizerFiles.chatTemplate, tokenizerFiles.toolTemplate];
    };
    const named = (...names: string[]) => ({
      'tokenizer_config.json': { chat_template: names.map((name) => ({ name, template: `of ${name}` })) },
    });
    expect(await of(named('tool_use', 'default'))).toEqual(['of default', 'of tool_use']);
    expect(await of(named('rag'))).toEqual([null, null]);
    expect(await of(named('rag', 'tool_use'))).toEqual([null, 'of tool_use']);
    expect(await of({ 'tokenizer_config.json': { chat_template: { default: 'a', tool_use: 'b' } } })).toEqual(
      ['a', 'b'],
    );
    expect(await of({ ...named('tool_use', 'default'), 'chat_template.jinja': 'own' })).toEqual([
      'own',
      null,
    ]);
    expect(await of({ 'tokenizer_config.json': { chat_template: 'one' } })).toEqual(['one', null]);
  });

  it('special tokens are text or records, here or in the map; ids are one or a list', async () => {
    const { tokenizerFiles, generation } = await openCheckpoint(
      folderWith({
        'tokenizer_config.json': {
          bos_token: '<s>',
          eos_token: { content: '</s>', lstrip: false },
          pad_token: null,
        },
        'special_tokens_map.json': { pad_token: '<pad>', bos_token: 'no' },
        'generation_config.json': { eos_token_id: [2, 7], pad_token_id: null },
      }),
    );
    expect(tokenizerFiles.specialTokens).toEqual({ bos: '<s>', eos: '</s>', pad: '<pad>' });
    expect(generation).toEqual({ eosTokenIds: [2, 7], bosTokenId: 1, padTokenId: 0 });
  });

  it('a damaged file is an error when it is asked for, not before', async () => {
    const { tokenizerFiles } = await openCheckpoint(
      folderWith({ 'tokenizer.json': '{"model":', 'generation_config.json': '{}' }),
    );
    expect(errorOf(() => tokenizerFiles.tokenizerJson, 'BAD_FILE').message).toMatch(
      /\[tokenizer\] .*tokenizer\.json: The file is not JSON/,
    );
    const opened = await openCheckpoint(folderWith({ 'generation_config.json': { eos_token_id: ['x'] } }));
    errorOf(() => opened.generation, 'BAD_CONFIG');
  });
});

describe('fingerprint', () => {
  it(
    'is the same for the same weights, whatever their files are called, and another for one changed byte ' +
      'at an end',
    async () => {
      const values = Float32Array.from({ length: 5000 }, (_, i) => i);
      const folder = folderWith({});
      const fingerprintOf = async (name: string, changed: number) => {
        const copy = values.slice();
        if (changed >= 0) copy[changed] = -1;
        writeSafetensors(join(folder, name), [
          tensorOf('w', [50, 100], copy),
          tensorOf('empty', [0], new Float32Array(0)),
        ]);
        const checkpoint = await openCheckpoint(join(folder, name));
        const found = checkpoint.fingerprint();
        checkpoint.dispose();
        return found;
      };
      const plain = await fingerprintOf('a.safetensors', -1);
      expect(plain).toMatch(/^[0-9a-f]{64}$/);
      expect(await fingerprintOf('b.safetensors', -1)).toBe(plain);
      expect(await fingerprintOf('c.safetensors', 0)).not.toBe(plain);
      expect(await fingerprintOf('d.safetensors', 4999)).not.toBe(plain);
      // the middle is not read: it is cheap, and no proof
      expect(await fingerprintOf('e.safetensors', 2500)).toBe(plain);
    },
  );
});
