import { mkdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { describe, expect, it } from 'vitest';
import {
  createBatches,
  createChatTemplate,
  expandGlobs,
  loadDataset,
  maskPreview,
  openDataset,
  type Example,
} from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const smol = fixtureTokenizer('smollm2', 'own');
const first = async (row: object): Promise<string> =>
  maskPreview((await loadDataset(files.write('row.jsonl', jsonl(row)), { tokenizer: smol })).training[0]!, {
    tokenizer: smol,
  });
const firsts = (examples: readonly Example[]): number[] => examples.map(({ ids }) => ids[0]!);

describe('rows of ShareGPT', () => {
  it('are conversations by other names, with a system text of their own', async () => {
    const conversations = [
      { from: 'human', value: '1+1?' },
      { from: 'gpt', value: '2' },
      { from: 'human', value: '2+2?' },
      { from: 'gpt', value: '4' },
    ];
    const messages = [
      { role: 'system', content: 'Count.' },
      { role: 'user', content: '1+1?' },
      { role: 'assistant', content: '2' },
      { role: 'user', content: '2+2?' },
      { role: 'assistant', content: '4' },
    ];
    expect(await first({ conversations, system: 'Count.' })).toBe(await first({ messages }));
    expect(await first({ conversations })).toMatch(/⟦2<\|im_end\|>\n⟧.*⟦4<\|im_end\|>\n⟧$/s);
  });

  it.each<[string, object, RegExp]>([
    [
      'a speaker nobody knows',
      { conversations: [{ from: 'narrator', value: 'x' }] },
      /expected one of human, user, gpt.* for conversations\[0\]\.from, got "narrator"/,
    ],
    [
      'a turn without words',
      { conversations: [{ from: 'human' }] },
      /expected a string for conversations\[0\]\.value, got nothing/,
    ],
    [
      'a call that is no JSON',
      { conversations: [{ from: 'function_call', value: 'add(1)' }] },
      /conversations\[0\]\.value, got malformed JSON/,
    ],
    ['no turns', { conversations: [] }, /at least one turn for "conversations", got an empty one/],
    [
      'a system text that is none',
      { conversations: [{ from: 'human', value: 'x' }], system: 3 },
      /expected a string for "system", got a number/,
    ],
  ])('are refused with %s', async (_, row, message) => {
    await expect(first(row)).rejects.toThrow(message);
  });

  it('have tool calls and their answers, as a template for tools sees them', async () => {
    const template =
      '{% for t in tools or [] %}<{{ t.name }}>{% endfor %}{% for m in messages %}[{{ m.role }}]{{ ' +
      'm.content or "" }}{% for c in m.tool_calls or [] %}{{ c.function.name }}({{ c.function.arguments.a ' +
      '}}){% endfor %};{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}';
    const tokenizer = {
      ...smol,
      chatTemplate: (await import('../src/index.ts')).createChatTemplate(template),
    };
    const conversations = [
      { from: 'human', value: '3?' },
      { from: 'function_call', value: '{"name":"add","arguments":{"a":3}}' },
      { from: 'observation', value: '5' },
      { from: 'gpt', value: 'five' },
    ];
    for (const tools of [[{ name: 'add' }], '[{"name":"add"}]']) {
      const { training } = await loadDataset(files.write('calls.jsonl', jsonl({ conversations, tools })), {
        tokenizer,
      });
      expect(maskPreview(training[0]!, { tokenizer })).toBe(
        '<add>[user]3?;[assistant]⟦add(3);⟧[tool]5;[assistant]⟦five;⟧',
      );
    }
  });
});

describe('tool calls and tools', () => {
  const template =
    '{{ tools | tojson }}{% for m in messages %}{{ m.role }}{% for c in m.tool_calls or [] %}{{ ' +
    'c.function.arguments | tojson }}{{ c.function.arguments }}{% endfor %}{{ m.content or "" }};{% endfor ' +
    '%}{% if add_generation_prompt %}assistant{% endif %}';
  const tokenizer = { ...smol, chatTemplate: createChatTemplate(template) };
  const given = '{"share": 1.0, "10": -0.0, "2": 12345678901234567890, "list": [1E5, 3, 0.5], "no": {}}';
  const json = '{"share": 1.0, "10": -0.0, "2": 12345678901234567890, "list": [100000.0, 3, 0.5], "no": {}}';
  const printed = json.replaceAll('"', "'"); // of json.dumps and of str in Python 3.13
  const call = `{"role":"assistant","content":null,"weight":1.0,"tool_calls":[{"function":{"name":"f","arguments":${given}}}]}`;
  const user = '{"role":"user","content":"q"}';

  it.each([
    ['messages', `{"messages":[${user},${call}],"tools":[${given}]}`],
    ['messages with tools as text', `{"messages":[${user},${call}],"tools":${JSON.stringify(`[${given}]`)}}`],
    ['lists of messages', `{"prompt":[${user}],"completion":[${call}],"tools":[${given}]}`],
    [
      'sharegpt',
      `{"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":${JSON.stringify(`{"name":"f","arguments":${given}}`)}}],"tools":[${given}]}`,
    ],
  ])('of %s have the numbers and the order of keys of the file, as in Python', async (_, row) => {
    const lines = files.write('numbers.jsonl', `${row}\n`);
    const list = files.write('numbers.json', `[\n${row},${row}]`);
    const says = `[${json}]userq;assistant⟦${json}${printed};⟧`;
    for (const file of [lines, list]) {
      using opened = await openDataset(file, { tokenizer });
      for (const example of [
        (await loadDataset(file, { tokenizer })).training.at(-1)!,
        opened.training.at(0)!,
      ])
        expect(maskPreview(example, { tokenizer })).toBe(says);
    }
  });

  it('that are JSON as text may not be nested without end, or name __proto__', async () => {
    const deep = '['.repeat(1e5) + ']'.repeat(1e5);
    const ofCall = (value: string) => ({
      conversations: [
        { from: 'human', value: 'q' },
        { from: 'function_call', value },
      ],
    });
    await expect(first(ofCall(`{"name":"f","arguments":${deep}}`))).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(/at most 64 levels of nesting/) as string,
    });
    await expect(first(ofCall('{"name":"f","arguments":{"__proto__":1}}'))).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(/got __proto__/) as string,
    });
    await expect(first(ofCall('1.0'))).rejects.toThrow(
      /expected a string for "name" in conversations\[1\]\.value, got nothing/,
    );
    await expect(first({ messages: [{ role: 'user', content: 'q' }], tools: '1.0' })).rejects.toThrow(
      /expected a list for "tools", got a number/,
    );
  });
});

describe('a weight on a turn', () => {
  const messages = (weight: unknown) => [
    { role: 'user', content: '1+1?' },
    { role: 'assistant', content: '3', weight },
    { role: 'user', content: 'no' },
    { role: 'assistant', content: '2' },
  ];

  it('of 0 leaves it out of the loss, of 1 leaves it in', async () => {
    expect(await first({ messages: messages(0) })).toMatch(
      /assistant\n3<\|im_end\|>\n<\|im_start\|>user\nno.*⟦2<\|im_end\|>\n⟧$/s,
    );
    expect(await first({ messages: messages(1) })).toMatch(/⟦3<\|im_end\|>\n⟧.*⟦2<\|im_end\|>\n⟧$/s);
  });

  it('of anything else is refused', async () => {
    await expect(first({ messages: messages(0.5) })).rejects.toThrow(
      /expected 0 or 1 for the weight of message 1, got 0.5/,
    );
  });
});

it('says once what rows have and the chat template never writes, and nothing where it does', async () => {
  const call = {
    role: 'assistant',
    content: '',
    tool_calls: [{ type: 'function', function: { name: 'f', arguments: {} } }],
  };
  const row = { messages: [{ role: 'user', content: 'q' }, call], tools: [{ name: 'f' }] };
  const file = files.write(
    'unshown.jsonl',
    jsonl(
      row,
      {
        messages: [
          { role: 'user', content: 'q' },
          { role: 'assistant', content: 'a' },
        ],
      },
      row,
    ),
  );
  const plain =
    '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt ' +
    '%}[assistant]{% endif %}';
  const notesWith = async (source: string): Promise<readonly string[]> =>
    (await loadDataset(file, { tokenizer: { ...smol, chatTemplate: createChatTemplate(source) } })).report
      .notes;
  expect(await notesWith(plain)).toEqual([
    expect.stringMatching(/^Rows have tool_calls and tools, of which the chat template writes nothing/),
  ]);
  expect(await notesWith(`{{ tools | tojson }}${plain}`)).toEqual([
    expect.stringMatching(/^Rows have tool_calls, of/),
  ]);
  expect(
    await notesWith(
      `{{ tools | tojson ` +
        `}}${plain.replace('{{ m.content }}', '{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}')}`,
    ),
  ).toEqual([]);
});

describe('a Parquet file', () => {
  const rows = Array.from({ length: 1300 }, (_, i) => ({
    question: `What is ${i}?`,
    answer: `é ${i}`,
    id: BigInt(i),
  }));
  const column = (name: keyof (typeof rows)[number], type: 'STRING' | 'INT64') => ({
    name,
    data: rows.map((row) => row[name]),
    type,
  });
  const file = files.write(
    'rows.parquet',
    new Uint8Array(
      parquetWriteBuffer({
        columnData: [column('question', 'STRING'), column('answer', 'STRING'), column('id', 'INT64')],
        rowGroupSize: 500,
      }),
    ),
  );

  it('has the examples of the same rows as JSON lines, loaded and streamed', async () => {
    const tokenizer = fixtureTokenizer('tiny-llama2-style');
    const lines = files.write(
      'same.jsonl',
      jsonl(...rows.map(({ question, answer }) => ({ question, answer }))),
    );
    const numbers = (examples: readonly Example[]): number[][] =>
      examples.map(({ ids, labels }) => [...ids, ...labels]);
    const { training } = await loadDataset(lines, { tokenizer });
    const loaded = await loadDataset(file, { tokenizer });
    using opened = await openDataset(file, { tokenizer });
    expect(numbers(loaded.training)).toEqual(numbers(training));
    expect(numbers(Array.from({ length: opened.training.length }, (_, i) => opened.training.at(i)!))).toEqual(
      numbers(training),
    );
    expect(opened.training.at(1134)!.source).toEqual({ file, line: 1135 });
  });

  it('has numbers that a template writes as Python does', async () => {
    const chatTemplate = createChatTemplate(
      '{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.function.arguments | tojson }}{{ "|" ' +
        '}}{{ c.function.arguments }}{% endfor %}{{ m.content or "" }};{% endfor %}{% if ' +
        'add_generation_prompt %}assistant{% endif %}',
    );
    const { rows: expected } = JSON.parse(
      readFileSync(new URL('../fixtures/parquet-rows.expected.json', import.meta.url), 'utf8'),
    ) as { readonly rows: readonly { readonly json: string; readonly str: string }[] };
    const { training } = await loadDataset(
      fileURLToPath(new URL('../fixtures/parquet-rows.parquet', import.meta.url)),
      { tokenizer: { ...smol, chatTemplate }, maxSeqLength: 2048 },
    );
    expect(training.map((example) => smol.decode(example.ids))).toEqual(
      expected.map(({ json, str }) => `q;${json}|${str};`),
    );
  });

  it('that finds no room for its rows says where it needs some', async ({ onTestFinished }) => {
    const { TMPDIR: before } = process.env;
    onTestFinished(() => {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
    });
    process.env.TMPDIR = `${files.folder}/nowhere`;
    await expect(loadDataset(file, { tokenizer: null })).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      where: file,
      message: expect.stringMatching(
        /expected room in .*nowhere for the rows of a Parquet file.*TMPDIR/,
      ) as string,
    });
  });

  it('that is damaged anywhere is refused, or gives rows', async () => {
    const tokenizer = fixtureTokenizer('tiny-llama2-style');
    const bytes = readFileSync(file);
    for (let cut = 1; cut < 40; cut++) {
      const broken = Buffer.from(bytes);
      broken.fill(0xff, Math.floor((cut / 40) * bytes.length), Math.floor((cut / 40) * bytes.length) + 16);
      const error: unknown = await loadDataset(files.write('broken.parquet', broken), {
        tokenizer,
        limit: 50,
      }).then(
        () => null,
        (thrown: unknown) => thrown,
      );
      if (error !== null) expect(error).toMatchObject({ code: 'BAD_DATA' });
    }
    await expect(
      loadDataset(files.write('short.parquet', bytes.subarray(0, 3000)), { tokenizer: null }),
    ).rejects.toMatchObject({ code: 'BAD_DATA', where: `${files.folder}/short.parquet` });
  });
});

describe('a Parquet file whose columns lie', () => {
  const bytes = readFileSync(
    files.write(
      'two.parquet',
      new Uint8Array(
        parquetWriteBuffer({
          columnData: ['question', 'answer'].map((name) => ({
            name,
            data: Array.from({ length: 50 }, (_, i) => `${name} ${i}`),
            type: 'STRING' as const,
          })),
        }),
      ),
    ),
  );
  const text = bytes.toString('latin1');
  const refused = async (broken: Buffer, message: RegExp): Promise<void> => {
    // the first column cannot be read: what the reader begins before it meets the other fault must not end
    // the process
    broken.fill(0xff, text.indexOf('question 0'), text.indexOf('question 0') + 40);
    await expect(
      loadDataset(files.write('lying.parquet', broken), { tokenizer: null }),
    ).rejects.toMatchObject({ code: 'BAD_DATA', message: expect.stringMatching(message) as string });
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  };

  it('is refused before any is read: a chunk of no column, a column without its chunk, one name twice', async () => {
    const name = '\x06answer';
    const path = text.lastIndexOf(name);
    const inSchema = text.lastIndexOf(name, path - 1);
    const written = (at: number, own: string): Buffer => {
      const broken = Buffer.from(bytes);
      broken.write(own, at, 'latin1');
      return broken;
    };
    expect([text.indexOf('question 0') + 40 < inSchema, inSchema < path]).toEqual([true, true]);
    await refused(
      written(path, '\x06answeR'),
      /expected one chunk for every column of the schema in each row group in a Parquet file, got others/,
    );
    await refused(written(inSchema, '\x06answeR'), /expected one chunk for every column of the schema/);
    const twice = parquetWriteBuffer({
      columnData: ['a', 'a'].map((own) => ({ name: own, data: ['x'], type: 'STRING' as const })),
    });
    await expect(
      loadDataset(files.write('twice.parquet', new Uint8Array(twice)), { tokenizer: null }),
    ).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(/a name of its own for every column/) as string,
    });
  });
});

describe('names with * and ?', () => {
  mkdirSync(`${files.folder}/deep/er`, { recursive: true });
  for (const name of [
    'part-2.jsonl',
    'part-1.jsonl',
    'part-10.jsonl',
    '.hidden.jsonl',
    'deep/part-3.jsonl',
    'deep/er/part-4.jsonl',
  ])
    files.write(name, jsonl({ input_ids: [Number(/\d+/.exec(name)?.[0] ?? 0), 1] }));
  const found = (pattern: string): string[] =>
    expandGlobs([`${files.folder}/${pattern}`])[0]!.map((path) => path.slice(files.folder.length + 1));

  it('are the files that match, by name; ** goes into folders; hidden ones are left out', () => {
    expect(found('part-*.jsonl')).toEqual(['part-1.jsonl', 'part-10.jsonl', 'part-2.jsonl']);
    expect(found('part-?.jsonl')).toEqual(['part-1.jsonl', 'part-2.jsonl']);
    expect(found('**/part-*.jsonl')).toEqual([
      'deep/er/part-4.jsonl',
      'deep/part-3.jsonl',
      'part-1.jsonl',
      'part-10.jsonl',
      'part-2.jsonl',
    ]);
    expect(found('d*p/*/part-4.jsonl')).toEqual(['deep/er/part-4.jsonl']);
    expect(found('*part-1.jsonl')).toEqual(['part-1.jsonl']);
  });

  it('that match nothing are an error, and a file with such a name is itself', async () => {
    expect(() => found('nothing-*.jsonl')).toThrow(expect.objectContaining({ code: 'MISSING_FILE' }));
    files.write('odd[1]*.jsonl', jsonl({ input_ids: [9, 9] }));
    expect(
      firsts((await loadDataset(`${files.folder}/odd[1]*.jsonl`, { tokenizer: null })).training),
    ).toEqual([9]);
  });

  it('are read one after the other', async () => {
    expect(firsts((await loadDataset(`${files.folder}/part-*.jsonl`, { tokenizer: null })).training)).toEqual(
      [1, 10, 2],
    );
  });
});

describe('weights', () => {
  const names = [
    files.write('a.jsonl', jsonl(...Array.from({ length: 10 }, (_, i) => ({ input_ids: [i, 1] })))),
    files.write('b.jsonl', jsonl(...Array.from({ length: 6 }, (_, i) => ({ input_ids: [100 + i, 1] })))),
  ];
  const epoch = async (weights: number[], seed = 0): Promise<number[]> => {
    const { training } = await loadDataset(names, { tokenizer: null, weights, seed });
    using opened = await openDataset(names, { tokenizer: null, weights, seed });
    const batches = createBatches(opened.training, {
      microBatchSize: 4,
      gradientAccumulationSteps: 1,
      shuffle: true,
      seed,
      packing: false,
      maxSeqLength: 16,
    });
    const ids = Array.from({ length: batches.stepsPerEpoch }, (_, step) => batches.batchAt(step))
      .flat()
      .flatMap((batch) => Array.from(batch.segments.subarray(0, -1), (at) => batch.ids[at]!))
      .sort((a, b) => a - b);
    expect(ids).toEqual(firsts(training).sort((a, b) => a - b));
    return ids;
  };

  it('of 2 and 0.5 bring every row of one file twice, and half the rows of the other, chosen by the seed', async () => {
    const ids = await epoch([2, 0.5], 1);
    const half = ids.filter((id) => id >= 100);
    expect(ids.filter((id) => id < 100)).toEqual(Array.from({ length: 20 }, (_, i) => i >> 1));
    expect([half.length, new Set(half).size]).toEqual([3, 3]);
    expect(
      (await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => epoch([2, 0.5], seed)))).some(
        (other) => String(other) !== String(ids),
      ),
    ).toBe(true);
  });

  it('of 0 leave a file out, and of 1.5 bring half its rows twice', async () => {
    expect((await epoch([0, 1])).length).toBe(6);
    expect((await epoch([1.5, 0])).length).toBe(15);
  });

  it('must be as many as the names, and numbers ≥ 0', async () => {
    for (const weights of [[1], [1, -1], [0, 0], [1, Number.NaN]])
      await expect(loadDataset(names, { tokenizer: null, weights })).rejects.toMatchObject({
        code: 'BAD_CONFIG',
      });
  });
});
