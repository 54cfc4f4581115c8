import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadDataset, openDataset, type DatasetOptions } from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const smol = fixtureTokenizer('smollm2', 'own');
const llama = fixtureTokenizer('tiny-llama2-style', 'inst');
const load = (rows: unknown[], options: Partial<DatasetOptions> = {}) =>
  loadDataset(files.write('rows.jsonl', jsonl(...rows)), { tokenizer: smol, ...options });

describe('a dataset that cannot be used', () => {
  it('says why no row is left', async () => {
    const rows = [
      { messages: [{ role: 'user', content: 'no answer' }] },
      { messages: [{ role: 'user', content: 'nor here' }] },
    ];
    await expect(load(rows)).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(
        /of 2 rows all were dropped: 2 × every label is masked\. .*completion_only_loss: false/,
      ) as string,
    });
    await expect(load([{ question: 'long '.repeat(50), answer: 'a' }], { maxSeqLength: 8 })).rejects.toThrow(
      /1 × cut by max_seq_length before the first counted token.*Raise max_seq_length \(8\)/,
    );
  });

  it.each<[string, unknown[], Partial<DatasetOptions>, string, RegExp]>([
    [
      'an unknown shape',
      [{ input: 'a', target: 'b' }],
      {},
      'BAD_DATA',
      /rows\.jsonl:1\] .*"input", "target"\. .*\(input_ids, or messages, or conversations, or prompt/,
    ],
    [
      'rows of another shape further down',
      [{ text: 'a b' }, { prompt: 'a', completion: 'b' }],
      {},
      'BAD_DATA',
      /rows\.jsonl:2\] A row of the format text must have the keys text \(got "prompt", "completion"/,
    ],
    [
      'a forced format that does not fit',
      [{ text: 'a' }],
      { datasetFormat: 'alpaca' },
      'BAD_DATA',
      /:1\] A row of .* must have the keys instruction, output/,
    ],
    [
      'a format nobody knows',
      [{ text: 'a' }],
      { datasetFormat: 'shareqpt' as never },
      'BAD_CONFIG',
      /`dataset_format` must be one of tokens, messages.* \(got "shareqpt"/,
    ],
    [
      'an answer that is a number',
      [{ question: 'q', answer: 4 }],
      {},
      'BAD_DATA',
      /:1\] "answer" must be a string \(got a number/,
    ],
    [
      'no tokenizer',
      [{ text: 'a' }],
      { tokenizer: null },
      'BAD_CONFIG',
      /Rows of the format text need a tokenizer/,
    ],
    [
      'messages without a template',
      [{ messages: [{ role: 'user', content: 'x' }] }],
      { tokenizer: fixtureTokenizer('tiny-llama3-style') },
      'BAD_CONFIG',
      /Conversations need a chat template.*Name one: chat_template: zephyr\./,
    ],
    [
      'messages without a template, for a tokenizer with the token of ChatML',
      [{ messages: [{ role: 'user', content: 'x' }] }],
      { tokenizer: { ...llama, chatTemplate: null, encode: () => [7] } },
      'BAD_CONFIG',
      /Name one: chat_template: chatml\./,
    ],
    [
      'a conversation that the template refuses',
      [{ messages: [{ role: 'assistant', content: 'x' }] }],
      { tokenizer: llama },
      'BAD_DATA',
      /rows\.jsonl:1\].*user and assistant must alternate/,
    ],
    [
      'no messages',
      [{ messages: [] }],
      {},
      'BAD_DATA',
      /"messages" must be .*at least one message \(got an empty one/,
    ],
    [
      'a misspelled role',
      [{ messages: [{ role: 'assitant', content: 'x' }] }],
      {},
      'BAD_DATA',
      /messages\[0\]\.role is "assitant", but answers are those of the role "assistant".*mean "assistant"\?/,
    ],
    [
      'roles of conversations',
      [{ messages: [{ role: 'human', content: 'x' }] }],
      {},
      'BAD_DATA',
      /messages\[0\]\.role is "human".*"conversations" with "from" and "value"/,
    ],
    [
      'a message without a role',
      [{ messages: [{ from: 'human', value: 'x' }] }],
      {},
      'BAD_DATA',
      /messages\[0\]\.role must be a string \(got nothing/,
    ],
    [
      'a message with an image',
      [{ messages: [{ role: 'user', content: [{ type: 'image' }] }] }],
      {},
      'BAD_DATA',
      /got parts that are not text/,
    ],
    [
      'an id beyond the vocabulary',
      [{ input_ids: [1, 49152] }],
      {},
      'BAD_DATA',
      /"input_ids" must be .*whole numbers in 0…49151 \(got 49152 at index 1/,
    ],
    [
      'a label that is neither an id nor −100',
      [{ input_ids: [1, 2], labels: [1, -5] }],
      { tokenizer: null },
      'BAD_DATA',
      /"labels" must be .* \(got -5 at index 1/,
    ],
    [
      'an id that is no whole number',
      [{ input_ids: [1, 2.5] }],
      { tokenizer: null },
      'BAD_DATA',
      /got 2.5 at index 1/,
    ],
    [
      'fewer labels than ids',
      [{ input_ids: [1, 2], labels: [1] }],
      { tokenizer: null },
      'BAD_DATA',
      /`labels` must have 2 values, as many as input_ids \(got 1/,
    ],
    [
      'a mask shorter than the ids',
      [{ input_ids: [1, 2], completion_mask: [1] }],
      { tokenizer: null },
      'BAD_DATA',
      /`completion_mask` must have 2 values, as many as input_ids \(got 1/,
    ],
    [
      'a mask of other numbers',
      [{ input_ids: [1, 2], assistant_masks: [1, 2] }],
      { tokenizer: null },
      'BAD_DATA',
      /"assistant_masks" must be whole numbers in 0…1 \(got 2 at index 1\)\. Correct/,
    ],
    [
      'the lengths of a stored pack',
      [{ input_ids: [5, 6, 7, 5, 6], seq_lengths: [3, 2] }],
      { tokenizer: null },
      'BAD_DATA',
      /:1\] The row holds several examples \(a stored pack\): `seq_lengths` has 2 .*Split it: .*packing/,
    ],
    [
      'the positions of a stored pack',
      [{ input_ids: [5, 6, 7, 5, 6], position_ids: [0, 1, 2, 0, 1] }],
      { tokenizer: null },
      'BAD_DATA',
      /The row holds several examples \(a stored pack\): `position_ids` restart at index 3/,
    ],
    [
      'a length that is not that of the ids',
      [{ input_ids: [5, 6, 7], seq_lengths: [2] }],
      { tokenizer: null },
      'BAD_DATA',
      /`seq_lengths` must be \[3\], the number of tokens \(got \[2\]/,
    ],
    [
      'positions that do not begin at 0',
      [{ input_ids: [5, 6, 7], position_ids: [4, 5, 6] }],
      { tokenizer: null },
      'BAD_DATA',
      /`position_ids` must count from 0 to 2 \(got 4 at index 0/,
    ],
    [
      'a max_seq_length of one',
      [{ text: 'a' }],
      { maxSeqLength: 1 },
      'BAD_CONFIG',
      /`max_seq_length` must be .*≥ 2 \(got 1/,
    ],
  ])('is refused: %s', async (_, rows, options, code, message) => {
    await expect(load(rows, options)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
  });

  it('leaves no file open if a format nobody knows was named', async () => {
    const file = files.write('rows.jsonl', jsonl({ text: 'a' }));
    const openFiles = (): number => readdirSync('/proc/self/fd').length;
    const before = openFiles();
    for (let i = 0; i < 20; i++)
      await expect(openDataset(file, { tokenizer: smol, datasetFormat: 'x' as never })).rejects.toThrow(
        /`dataset_format` must be one of/,
      );
    expect(openFiles() - before).toBeLessThan(10);
  });

  it('is let go when the signal is aborted, with its reason', async () => {
    await expect(load([{ text: 'a b' }], { signal: AbortSignal.abort('enough') })).rejects.toMatchObject({
      code: 'ABORTED',
      cause: 'enough',
    });
  });

  it('names file and line of malformed JSON', async () => {
    const file = files.write('broken.jsonl', '{"text":"fine row"}\n{"text": oops}\n');
    await expect(loadDataset(file, { tokenizer: smol })).rejects.toMatchObject({
      code: 'BAD_DATA',
      where: `${file}:2`,
    });
  });
});
