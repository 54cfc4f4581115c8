import { expect, it } from 'vitest';
import { configFile, PAPER } from '../../test/paper-models.ts';
import { planMemory } from '../index.ts';

it(
  'a plan says, as training does, that rows may be longer than the positions that a model knows: scaled ' +
    'angles reach further, ALiBi does not',
  async () => {
    // Narrow, because only positions count here.
    const narrow = { num_hidden_layers: 1, hidden_size: 64, intermediate_size: 64, num_attention_heads: 2 };
    const llama = { ...PAPER['llama-7b'].config, ...narrow };
    const falcon = {
      ...PAPER['falcon-40b'].config,
      ...narrow,
      num_kv_heads: 1,
      alibi: true,
      new_decoder_architecture: false,
    };
    const notesOf = async (
      config: Readonly<Record<string, unknown>>,
      maxSeqLength: number,
    ): Promise<readonly string[]> =>
      (
        await planMemory({
          model: configFile('positions', config),
          maxSeqLength,
          microBatchSize: 1,
          backend: 'host',
        })
      ).notes;
    const linear = { rope_scaling: { type: 'linear', factor: 2 } };
    const yarn = { rope_scaling: { type: 'yarn', factor: 4, original_max_position_embeddings: 1024 } };
    for (const [config, positions] of [
      [llama, 2048],
      [{ ...llama, ...linear }, 4096],
      [{ ...llama, ...yarn }, 4096],
      [falcon, 2048],
    ] as const) {
      expect(await notesOf(config, positions)).toEqual([]);
      expect(await notesOf(config, positions + 1)).toEqual([
        expect.stringMatching(
          `^Rows may have up to ${positions + 1} tokens, and the model was trained with ` +
            `${positions} positions`,
        ),
      ]);
    }
  },
);

it(
  'a plan of a model whose positions end judges rows of the length that the keys allow, and refuses longer ' +
    'ones as training does',
  async () => {
    const planOptions = {
      model: configFile('gpt2', {
        model_type: 'gpt2',
        n_positions: 96,
        vocab_size: 100,
        n_embd: 16,
        n_layer: 1,
        n_head: 2,
      }),
      backend: 'host',
      quantization: 'none',
      valSetSize: 4,
    } as const;
    for (const maxSeqLength of [40, 96])
      expect((await planMemory({ ...planOptions, maxSeqLength })).notes).toEqual([]);
    await expect(planMemory({ ...planOptions, maxSeqLength: 97 })).rejects.toThrow(
      /at most 96 tokens \(got position 96/,
    );
  },
);
