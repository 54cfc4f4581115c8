import { describe, expect, it } from 'vitest';
import {
  createChatTemplate,
  loadDataset,
  maskPreview,
  NOT_COUNTED,
  type DatasetOptions,
  type Example,
  type Tokenizer,
} from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const smol = fixtureTokenizer('smollm2', 'own');
const llama = fixtureTokenizer('tiny-llama2-style', 'inst');
const load = (rows: unknown[], options: Partial<DatasetOptions> = {}) =>
  loadDataset(files.write('rows.jsonl', jsonl(...rows)), { tokenizer: smol, ...options });
const only = async (row: unknown, options: Partial<DatasetOptions> = {}): Promise<Example> =>
  (await load([row], options)).training[0];
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
    const example = await only({ prompt: 'the king', completion: ' and I' }, { tokenizer: llama });
    const [prompt, joint] = ['the king', 'the king and I'].map((text) => llama.encode(text));
    expect(Array.from(example.ids)).toEqual([llama.bosId, ...joint, llama.eosId]);
    expect(counted(example)).toEqual([...joint.slice(prompt.length), llama.eosId]);
  });

  it.each(['smollm2', 'tiny-llama2-style', 'tiny-llama3-style', 'tiny-unigram'])(
    'of prompt and completion reads like one text, without a space between them, with %s',
    async (name) => {
      const tokenizer = fixtureTokenizer(name);
      const rows = [
        ['def f():\n', 'return 1'],
        ['the king', ' and I'],
        ['the ki', 'ng and I'],
        ['Answer: ', '2'],
        ['Answer:', ' 2'],
        ['the sea', 'é日本'],
      ];
      for (const [prompt, completion] of rows) {
        const { ids, labels } = await only({ prompt, completion }, { tokenizer });
        const told = tokenizer.encode(prompt, { addSpecialTokens: true });
        const end = ids.at(-1) === tokenizer.eosId ? -1 : undefined;
        expect(tokenizer.decode(ids.subarray(0, end), { skipSpecialTokens: true })).toBe(
          tokenizer.decode(tokenizer.encode(prompt + completion), { skipSpecialTokens: true }),
        );
        expect([...ids.subarray(0, told.length)]).toEqual(told);
        expect(labels.findIndex((label) => label !== NOT_COUNTED)).toBe(told.length);
      }
    },
  );

  it('keeps an answer of unknown characters behind a prompt that ends with one', async () => {
    const tokenizer = fixtureTokenizer('tiny-unigram'); // joins neighbouring unknown characters
    expect(counted(await only({ prompt: '(', completion: '日' }, { tokenizer }))).toEqual(
      tokenizer.encode('日'),
    );
  });

  it('of question and answer has one space between them where a text begins with a space', async () => {
    const example = await only({ question: 'q', answer: 'king' }, { tokenizer: llama });
    expect(shown(example, llama)).toMatch(/^Question: q\nAnswer: ⟦king/);
  });

  it('of an empty prompt begins with BOS, which may be the same token as EOS', async () => {
    const row = { prompt: '', completion: 'and I' };
    const { bosId, eosId } = llama;
    const answer = llama.encode('and I');
    expect([...(await only(row, { tokenizer: llama })).ids]).toEqual([bosId, ...answer, eosId]);
    const tokenizer = { ...llama, eosId: bosId };
    expect([...(await only(row, { tokenizer })).ids]).toEqual([bosId, ...answer, bosId]);
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
        /system\nBe brief\..*assistant\n2<\|im_end\|>\n<\|im_start\|>user\n2\+2\?.*⟦4<\|im_end\|>\n⟧$/s,
      );
      await expect(only({ prompt, completion: '4' })).rejects.toThrow(
        /"completion" must be a list of at least one message \(got a string/,
      );
      await expect(only({ prompt: 'Hi', completion: [turn('assistant', '4')] })).rejects.toThrow(
        /"completion" must be a string \(got a list/,
      );
      await expect(only({ prompt: [], completion: [turn('assistant', '4')] })).rejects.toThrow(
        /"prompt" must be .*at least one message \(got an empty one/,
      );
    },
  );

  it('over several lines is refused with the two ways to write it', async () => {
    await expect(
      loadDataset(files.write('pretty.json', JSON.stringify({ question: 'q', answer: 'a' }, null, 2)), {
        tokenizer: smol,
      }),
    ).rejects.toThrow(
      /pretty\.json:1\] .*only its beginning\)\. Write each object on one line .*or all of them as a list/,
    );
  });

  it('of Alpaca has the words of the Alpaca project, with and without an input', async () => {
    expect(shown(await only({ instruction: 'Add.', input: '2 2', output: '4' }))).toMatch(
      /paired with.*\n### Instruction:\nAdd\.\n\n### Input:\n2 2\n\n### Response:\n⟦4<\|im_end\|>⟧$/s,
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

  it.each([
    [
      'goes through parts',
      "{% for p in m.content %}{% if p.type == 'text' %}<{{ p.text | trim }}>{% endif %}{% endfor %}",
      'user:\n<a><b>;assistant:\n⟦<x><y>;⟧',
    ],
    [
      'goes through parts, but of users only',
      "{% if m.role == 'assistant' %}{{ m.content.strip() }}{% elif m.content is string %}{{ m.content }}" +
        "{% else %}{{ m.content | map(attribute='text') | join('|') }}{% endif %}",
      'user:\na  b;assistant:\n⟦x y;⟧',
    ],
    ['reads a text', '{{ m.content }}', 'user:\na  b;assistant:\n⟦x y;⟧'],
  ])('of messages has parts of text as they are where the template %s', async (_, content, expected) => {
    const chatTemplate = createChatTemplate(
      `{% for m in messages %}{{ m.role }}:\n${content};{% endfor %}` +
        '{% if add_generation_prompt %}assistant:\n{% endif %}',
    );
    const tokenizer = { ...smol, chatTemplate };
    const parts = (...texts: string[]): object[] => texts.map((text) => ({ type: 'text', text }));
    const messages = [
      { role: 'user', content: parts('a ', ' b') },
      { role: 'assistant', content: parts('x ', 'y') },
    ];
    expect(shown(await only({ messages }, { tokenizer }), tokenizer)).toBe(expected);
    expect(shown(await only({ messages: messages.slice(1) }, { tokenizer }), tokenizer)).toBe(
      expected.slice(expected.indexOf('assistant')),
    );
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
      /one<\|im_end\|>\n.*assistant\n⟦1<\|im_end\|>\n⟧<\|im_start\|>user\ntwo.*⟦2<\|im_end\|>\n⟧$/s,
    );
  });

  it('of messages has the keys that a template reads, under the names of transformers too', async () => {
    const chatTemplate = createChatTemplate(
      "{% for m in messages %}{{ m.role }}:{{ m.reasoning_content }}{{ m.plan }}{{ 'tool_calls' in m }}{{ " +
        'm.content }};{% endfor %}',
    );
    const turns = [
      { role: 'user', content: 'q', tool_calls: null },
      { role: 'assistant', content: 'a', reasoning: 'why', plan: { n: 1 } },
    ];
    const example = await only(
      { messages: turns },
      { tokenizer: { ...smol, chatTemplate }, completionOnlyLoss: false },
    );
    expect(smol.decode(example.ids)).toBe("user:Falseq;assistant:why{'n': 1}Falsea;");
  });

  it('of text is counted whole and closed', async () => {
    const example = await only({ text: 'the king' }, { tokenizer: llama });
    expect(Array.from(example.ids)).toEqual([llama.bosId, ...llama.encode('the king'), llama.eosId]);
    expect(example.labels).toEqual(example.ids);
  });

  it('whose text or answer already ends with EOS does not get another one', async () => {
    const ids = async (row: object): Promise<number[]> => Array.from((await only(row)).ids);
    expect(await ids({ text: 'the king<|im_end|>' })).toEqual(await ids({ text: 'the king' }));
    expect(await ids({ question: 'q', answer: 'a<|im_end|>' })).toEqual(
      await ids({ question: 'q', answer: 'a' }),
    );
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

  it('of tokens is counted where its masks of TRL say so', async () => {
    const labelsOf = async (row: object, options: Partial<DatasetOptions> = {}): Promise<number[]> =>
      Array.from((await only({ input_ids: [5, 6, 7, 8], ...row }, { tokenizer: null, ...options })).labels);
    const completion = { completion_mask: [0, 1, 1, 1] };
    const assistant = { assistant_masks: [1, 1, 0, 1] };
    const everything = { completionOnlyLoss: false };
    expect(await labelsOf(completion)).toEqual([-100, 6, 7, 8]);
    expect(await labelsOf(completion, everything)).toEqual([5, 6, 7, 8]);
    expect(await labelsOf(assistant, everything)).toEqual([5, 6, -100, 8]);
    expect(await labelsOf({ ...completion, ...assistant })).toEqual([-100, 6, -100, 8]);
    expect(await labelsOf({ ...completion, ...assistant, labels: [5, 6, 7, -100] })).toEqual([
      -100, 6, -100, -100,
    ]);
    expect(await labelsOf({ ...assistant, attention_mask: [0, 1, 1, 1] })).toEqual([6, -100, 8]);
  });

  it('of tokens may have the positions and the length of one example, beside its padding', async () => {
    const row = {
      input_ids: [0, 5, 6, 7],
      attention_mask: [0, 1, 1, 1],
      position_ids: [1, 0, 1, 2],
      seq_lengths: [3],
    };
    expect(Array.from((await only(row, { tokenizer: null })).ids)).toEqual([5, 6, 7]);
  });

  it('of tokens has another fingerprint with another mask, and the same one without masks', async () => {
    const printOf = async (row: object, options: Partial<DatasetOptions> = {}): Promise<string> =>
      (await load([{ input_ids: [5, 6, 7], ...row }], { tokenizer: null, ...options })).report.fingerprint;
    // that of versions that did not read masks
    const plain = 'b9e12b0a0a7464711cefa37aa6c1b439981e5006b98e03e1b4d3f8dcbbd39596';
    expect(await printOf({})).toBe(plain);
    expect(await printOf({ completion_mask: [0, 1, 1] })).not.toBe(plain);
    expect(await printOf({ completion_mask: [0, 1, 1] }, { completionOnlyLoss: false })).toBe(plain);
    expect(await printOf({ seq_lengths: [3], completion_mask: null })).toBe(plain);
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

it('a limit of rows may be Infinity: all of them', async () => {
  const { training } = await load([{ input_ids: [1, 2, 3] }, { input_ids: [4, 5, 6] }], { limit: Infinity });
  expect(training).toHaveLength(2);
});
