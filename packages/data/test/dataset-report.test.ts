import { describe, expect, it } from 'vitest';
import { loadDataset, loadTokenizer, type DatasetOptions } from '../src/index.ts';
import { fixtureTokenizer, tokenizerJson } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const smol = fixtureTokenizer('smollm2', 'own');
const load = (rows: unknown[], options: Partial<DatasetOptions> = {}) =>
  loadDataset(files.write('rows.jsonl', jsonl(...rows)), { tokenizer: smol, ...options });

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
    'tells that answers do not end where there is no EOS, and that completion_only_loss has no effect ' +
      'on text',
    async () => {
      const bare = loadTokenizer({
        tokenizerJson: tokenizerJson('tiny-llama2-style'),
        tokenizerConfig: null,
        chatTemplate: null,
      });
      expect((await load([{ prompt: 'p', completion: 'c' }], { tokenizer: bare })).report.notes).toEqual([
        expect.stringMatching(/has no EOS token/),
      ]);
      expect((await load([{ text: 'a b' }], { completionOnlyLoss: true })).report.notes).toEqual([
        expect.stringMatching(/completion_only_loss has no effect/),
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
