import { describe, expect, it } from 'vitest';
import {
  loadDataset,
  loadTokenizer,
  maskPreview,
  NOT_COUNTED,
  type DatasetOptions,
  type Example,
  type Tokenizer,
} from '../src/index.ts';
import { fixtureTokenizer, tokenizerJson } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const smol = fixtureTokenizer('smollm2', 'own');
const llama = fixtureTokenizer('tiny-llama2-style', 'inst');
const load = (rows: unknown[], options: Partial<DatasetOptions> = {}) =>
  loadDataset(files.write('rows.jsonl', jsonl(...rows)), { tokenizer: smol, ...options });
const only = async (row: unknown, options: Partial<DatasetOptions> = {}): Promise<Example> =>
  (await load([row], options)).training[0]!;
const counted = ({ ids, labels }: Example): number[] =>
  Array.from(ids).filter((_, t) => labels[t] !== NOT_COUNTED);
const shown = (example: Example, tokenizer: Tokenizer = smol): string => maskPreview(example, { tokenizer });

describe('a row', () => {
  it(
    'of question and answer is written plainly, both sides tokenized apart, even where the tokenizer has ' +
      'a chat template',
    async () => {
      const { ids, labels } = await only({ question: '2 + 2?', answer: '4' });
      const prompt = smol.encode('Question: 2 + 2?\nAnswer: ');
      const answer = [...smol.encode('4'), 2];
      expect(Array.from(ids)).toEqual([...prompt, ...answer]);
      expect(Array.from(labels)).toEqual([...prompt.map(() => NOT_COUNTED), ...answer]);
    },
  );

  it('of question and answer has no BOS even where the files would add one', async () => {
    expect((await only({ question: 'q', answer: 'a' }, { tokenizer: llama })).ids[0]).not.toBe(llama.bosId);
  });

  it('of prompt and completion begins with what the files add, and ends with EOS', async () => {
    const example = await only({ prompt: 'the king', completion: 'and I' }, { tokenizer: llama });
    expect(Array.from(example.ids)).toEqual([
      llama.bosId,
      ...llama.encode('the king'),
      ...llama.encode('and I'),
      llama.eosId,
    ]);
    expect(counted(example)).toEqual([...llama.encode('and I'), llama.eosId]);
  });

  it('of prompt and completion is a conversation with applyChatTemplate', async () => {
    const row = { prompt: 'Hi', completion: 'Hello' };
    expect(shown(await only(row, { applyChatTemplate: true }))).toMatch(
      /<\|im_start\|>user\nHi<\|im_end\|>\n<\|im_start\|>assistant\n⟦Hello<\|im_end\|>\n⟧$/,
    );
    expect(shown(await only(row))).toBe('Hi⟦Hello<|im_end|>⟧');
  });

  it(
    'of prompt and completion as lists of messages is one conversation, of which the turns of the ' +
      'completion count',
    async () => {
      const turn = (role: string, content: string) => ({ role, content });
      const prompt = [
        turn('system', 'Be brief.'),
        turn('user', '1+1?'),
        turn('assistant', '2'),
        turn('user', '2+2?'),
      ];
      expect(shown(await only({ prompt, completion: [turn('assistant', '4')] }))).toMatch(
        /system\nBe brief\..*assistant\n2<\|im_end\|>\n<\|im_start\|>user\n2\+2\?.*assistant\n⟦4<\|im_end\|>\n⟧$/s,
      );
      await expect(only({ prompt, completion: '4' })).rejects.toThrow(
        /expected a list of at least one message for "completion", got a string/,
      );
      await expect(only({ prompt: 'Hi', completion: [turn('assistant', '4')] })).rejects.toThrow(
        /expected a string for "completion", got a list/,
      );
      await expect(only({ prompt: [], completion: [turn('assistant', '4')] })).rejects.toThrow(
        /at least one message for "prompt", got an empty one/,
      );
    },
  );

  it('over several lines is refused with the two ways to write it', async () => {
    await expect(
      loadDataset(files.write('pretty.json', JSON.stringify({ question: 'q', answer: 'a' }, null, 2)), {
        tokenizer: smol,
      }),
    ).rejects.toThrow(
      /pretty\.json:1\] expected a JSON object for a row, got only its beginning\. Write each object on one line .*or all of them as a list/,
    );
  });

  it('of Alpaca has the words of the Alpaca project, with and without an input', async () => {
    expect(shown(await only({ instruction: 'Add.', input: '2 2', output: '4' }))).toMatch(
      /paired with an input.*\n\n### Instruction:\nAdd\.\n\n### Input:\n2 2\n\n### Response:\n⟦4<\|im_end\|>⟧$/s,
    );
    for (const row of [
      { instruction: 'Say hi.', output: 'hi' },
      { instruction: 'Say hi.', input: '', output: 'hi' },
      { instruction: 'Say hi.', input: null, output: 'hi' },
    ]) {
      expect(shown(await only(row))).toMatch(
        /describes a task\. Write.*### Instruction:\nSay hi\.\n\n### Response:\n⟦hi<\|im_end\|>⟧$/s,
      );
    }
  });

  it('of messages counts every assistant turn, and parts of text are joined', async () => {
    const messages = [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'on' },
          { type: 'text', text: 'e' },
        ],
      },
      { role: 'assistant', content: '1' },
      { role: 'user', content: 'two' },
      { role: 'assistant', content: '2' },
    ];
    expect(shown(await only({ messages }))).toMatch(
      /user\none<\|im_end\|>\n<\|im_start\|>assistant\n⟦1<\|im_end\|>\n⟧<\|im_start\|>user\ntwo.*assistant\n⟦2<\|im_end\|>\n⟧$/s,
    );
  });

  it('of text is counted whole and closed', async () => {
    const example = await only({ text: 'the king' }, { tokenizer: llama });
    expect(Array.from(example.ids)).toEqual([llama.bosId, ...llama.encode('the king'), llama.eosId]);
    expect(example.labels).toEqual(example.ids);
  });

  it('of tokens needs no tokenizer, keeps its labels, and loses its padding', async () => {
    const { ids, labels } = await only(
      { input_ids: [5, 6, 7, 0], labels: [-100, 6, 7, -100], attention_mask: [1, 1, 1, 0] },
      { tokenizer: null },
    );
    expect([Array.from(ids), Array.from(labels)]).toEqual([
      [5, 6, 7],
      [-100, 6, 7],
    ]);
    expect(Array.from((await only({ input_ids: [5, 6] }, { tokenizer: null })).labels)).toEqual([5, 6]);
  });

  it('is counted whole with completionOnlyLoss off', async () => {
    for (const row of [
      { question: 'q', answer: 'a' },
      { prompt: 'p', completion: 'c' },
      {
        messages: [
          { role: 'user', content: 'q' },
          { role: 'assistant', content: 'a' },
        ],
      },
    ]) {
      const { ids, labels } = await only(row, { completionOnlyLoss: false });
      expect(labels).toEqual(ids);
    }
  });

  it('remembers its file and line', async () => {
    const { training } = await load([{ text: 'a b' }, { text: 'c d' }]);
    expect(training.map(({ source }) => source)).toEqual([
      { file: `${files.folder}/rows.jsonl`, line: 1 },
      { file: `${files.folder}/rows.jsonl`, line: 2 },
    ]);
  });
});

describe('the report', () => {
  it('counts rows, tokens, cut rows and dropped rows, with the reasons', async () => {
    const { training, report } = await load(
      [
        { input_ids: [1, 2, 3] },
        { input_ids: [1, 2, 3, 4, 5, 6], labels: [-100, 2, 3, 4, 5, 6] },
        { input_ids: [1] },
        { input_ids: [1, 2], labels: [1, -100] },
        { input_ids: [1, 2, 3, 4, 5], labels: [-100, -100, -100, -100, 5] },
      ],
      { tokenizer: null, maxSeqLength: 4 },
    );
    expect(training.map(({ ids }) => ids.length)).toEqual([3, 4]);
    expect(report).toEqual({
      format: 'tokens',
      rows: 5,
      fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      measuredRows: 5,
      tokens: 7,
      predictedTokens: 5,
      truncated: 2,
      truncatedAnswers: 2,
      lostTokens: 3,
      dropped: 3,
      skipped: 0,
      skippedMessages: [],
      emptyFiles: 0,
      notes: [],
      reasons: {
        'fewer than two tokens, so none has a token before it': 1,
        'every label is masked': 1,
        'cut by max_seq_length before the first counted token': 1,
      },
    });
  });

  it('says which shape the first row decided for, and tells of a template that is not used', async () => {
    const { report } = await load([{ question: 'q', answer: 'a', id: 7 }]);
    expect(report).toMatchObject({
      format: 'question_answer',
      notes: ['The tokenizer has a chat template; prompts are written plainly, without it.'],
    });
  });

  it(
    'tells that answers are not closed where there is no EOS, and that completion_only_loss has no say ' +
      'in text',
    async () => {
      const bare = loadTokenizer({
        tokenizerJson: tokenizerJson('tiny-llama2-style'),
        tokenizerConfig: null,
        chatTemplate: null,
      });
      expect((await load([{ prompt: 'p', completion: 'c' }], { tokenizer: bare })).report.notes).toEqual([
        expect.stringMatching(/names no EOS/),
      ]);
      expect((await load([{ text: 'a b' }], { completionOnlyLoss: true })).report.notes).toEqual([
        expect.stringMatching(/completion_only_loss has no say/),
      ]);
    },
  );

  it('lists the formats of several files', async () => {
    const { report, training } = await loadDataset(
      [files.write('a.jsonl', jsonl({ text: 'a b' })), files.write('b.txt', 'c d e')],
      { tokenizer: smol },
    );
    expect([report.format, report.rows, training.length]).toEqual(['text, plain_text', 2, 2]);
  });
});

describe('plain text', () => {
  it('becomes consecutive windows of maxSeqLength, every token counted, without special tokens', async () => {
    const text = 'so the young king went on to the sea, and there he lay. '.repeat(8);
    const ids = llama.encode(text);
    const { training, report } = await loadDataset(files.write('plain.txt', text), {
      tokenizer: llama,
      maxSeqLength: 16,
    });
    expect(training.flatMap((window) => Array.from(window.ids))).toEqual(ids);
    expect(report).toMatchObject({
      format: 'plain_text',
      rows: Math.ceil(ids.length / 16),
      predictedTokens: ids.length - training.length,
    });
  });
});

describe('a dataset that cannot be used', () => {
  it('says why no row is left', async () => {
    const rows = [
      { messages: [{ role: 'user', content: 'no answer' }] },
      { messages: [{ role: 'user', content: 'nor here' }] },
    ];
    await expect(load(rows)).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(
        /got 2 rows of which all were dropped: 2 × every label is masked\. .*completion_only_loss: false/,
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
      /rows\.jsonl:1\] expected the keys of a known shape \(input_ids, or messages, or conversations, or prompt \+ completion.*got "input", "target"/,
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
