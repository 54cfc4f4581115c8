import { hfConfigOf, type Checkpoint, type TensorEntry } from '@qdylora/checkpoint';
import { createHostBackend } from '@qdylora/contract';
import { expect, it } from 'vitest';
import { buildModel } from '../builders/build-model.ts';
import { weightEntry } from './weight-entry.ts';

const CONFIG = {
  model_type: 'llama',
  vocab_size: 8,
  hidden_size: 8,
  intermediate_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 1,
};
const named = (...names: string[]): Pick<Checkpoint, 'name' | 'tensors'> => ({
  name: 'here',
  tensors: new Map(names.map((name) => [name, null as never])),
});

it.each([
  [
    { quant_method: 'bitsandbytes', load_in_8bit: true },
    /quantized with bitsandbytes in 8 bits \(load_in_8bit\)/,
  ],
  [{ quant_method: 'bitsandbytes' }, /quantized with bitsandbytes without load_in_4bit/],
  [{ quant_method: 'gptq', bits: 4 }, /quantized with gptq/],
])(
  'a checkpoint quantized otherwise is refused by what it says: %j',
  async (quantization_config, message) => {
    const files = {
      name: 'here',
      config: hfConfigOf('config.json', { ...CONFIG, quantization_config }),
      tensors: new Map(),
    };
    await expect(buildModel(files, { backend: createHostBackend() })).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(message) as string,
    });
  },
);

it('and by the names of its tensors, where its config says nothing', () => {
  const find = (checkpoint: ReturnType<typeof named>): unknown =>
    weightEntry(checkpoint, '', 'a.q_proj.weight', [8, 8]);
  expect(() => find(named('a.q_proj.qweight'))).toThrow(
    /quantized with GPTQ or AWQ \(a\.q_proj\.qweight\); a\.q_proj\.weight must be in full precision/,
  );
  expect(() => find(named('a.q_proj.weight_packed'))).toThrow(/compressed-tensors/);
  expect(() => find(named('b.q_proj.qweight'))).toThrow(
    /The checkpoint has no tensor a\.q_proj\.weight \[8, 8\]/,
  );
});

it.each([
  ['I8', 'LLM.int8 or another int8 method (dtype I8)'],
  ['F8_E4M3', 'FP8 (dtype F8_E4M3)'],
  ['F8_E5M2', 'FP8 (dtype F8_E5M2)'],
])('and by the dtype %s', (dtype, method) => {
  const weight = 'a.q_proj.weight';
  const tensors = new Map([
    [weight, { name: weight, dtype, shape: [8, 8] } as Partial<TensorEntry> as TensorEntry],
  ]);
  expect(() => weightEntry({ name: 'here', tensors }, '', weight, [8, 8])).toThrow(
    `[here] The weights are quantized with ${method}; ${weight} must be in full precision or in ` +
      'bitsandbytes 4-bit. Start from the unquantized checkpoint.',
  );
});
