import { describe, expect, it } from 'vitest';
import { loadDataset, type DatasetOptions } from '../src/index.ts';
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
      /rows\.jsonl:1\] .*\(input_ids, or messages, or conversations, or prompt.*"input", "target"/,
    ],
    [
      'rows of another shape further down',
      [{ text: 'a b' }, { prompt: 'a', completion: 'b' }],
      {},
      'BAD_DATA',
      /rows\.jsonl:2\] expected the keys text for a row of the format text, got "prompt", "completion"/,
    ],
    [
      'a forced format that does not fit',
      [{ text: 'a' }],
      { datasetFormat: 'alpaca' },
      'BAD_DATA',
      /:1\] expected the keys instruction, output/,
    ],
    [
      'a format nobody knows',
      [{ text: 'a' }],
      { datasetFormat: 'shareqpt' as never },
      'BAD_CONFIG',
      /expected one of tokens, messages.* for dataset_format, got "shareqpt"/,
    ],
    [
      'an answer that is a number',
      [{ question: 'q', answer: 4 }],
      {},
      'BAD_DATA',
      /:1\] expected a string for "answer", got a number/,
    ],
    [
      'no tokenizer',
      [{ text: 'a' }],
      { tokenizer: null },
      'BAD_CONFIG',
      /expected a tokenizer for rows of the format text/,
    ],
    [
      'messages without a template',
      [{ messages: [{ role: 'user', content: 'x' }] }],
      { tokenizer: fixtureTokenizer('tiny-llama3-style') },
      'BAD_CONFIG',
      /expected a tokenizer with a chat template/,
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
      /at least one message for "messages", got an empty one/,
    ],
    [
      'a message without a role',
      [{ messages: [{ from: 'human', value: 'x' }] }],
      {},
      'BAD_DATA',
      /expected a string for messages\[0\]\.role, got nothing/,
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
      /whole numbers in 0…49151 for "input_ids", got 49152 at index 1/,
    ],
    [
      'a label that is neither an id nor −100',
      [{ input_ids: [1, 2], labels: [1, -5] }],
      { tokenizer: null },
      'BAD_DATA',
      /for "labels", got -5 at index 1/,
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
      /expected 2 labels, as many as input_ids, got 1/,
    ],
    [
      'a max_seq_length of one',
      [{ text: 'a' }],
      { maxSeqLength: 1 },
      'BAD_CONFIG',
      /≥ 2 for max_seq_length, got 1/,
    ],
  ])('is refused: %s', async (_, rows, options, code, message) => {
    await expect(load(rows, options)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
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
