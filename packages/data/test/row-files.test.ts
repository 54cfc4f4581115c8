import { describe, expect, it } from 'vitest';
import { createChatTemplate, loadDataset, maskPreview, openDataset } from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';
import { jsonl, temporaryFiles } from './temporary-files.ts';

const files = temporaryFiles();
const smol = fixtureTokenizer('smollm2', 'own');
const first = async (row: object, completionOnlyLoss = true): Promise<string> => {
  const file = files.write('row.jsonl', jsonl(row));
  const { training } = await loadDataset(file, { tokenizer: smol, completionOnlyLoss });
  return maskPreview(training[0], { tokenizer: smol });
};

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
      /conversations\[0\]\.from must be one of human, user, gpt.* \(got "narrator"/,
    ],
    [
      'a turn without words',
      { conversations: [{ from: 'human' }] },
      /conversations\[0\]\.value must be a string \(got nothing/,
    ],
    [
      'a call that is no JSON',
      { conversations: [{ from: 'function_call', value: 'add(1)' }] },
      /conversations\[0\]\.value, but its JSON is malformed/,
    ],
    [
      'no call in a list of calls',
      { conversations: [{ from: 'function_call', value: '[]' }] },
      /conversations\[0\]\.value must have at least one call/,
    ],
    [
      'a call without a name in a list of calls',
      { conversations: [{ from: 'function_call', value: '[{"name":"f"},{}]' }] },
      /"name" in conversations\[0\]\.value\[1\] must be a string \(got nothing/,
    ],
    ['no turns', { conversations: [] }, /"conversations" must be .*at least one turn \(got an empty one/],
    [
      'a system text that is none',
      { conversations: [{ from: 'human', value: 'x' }], system: 3 },
      /"system" must be a string \(got a number/,
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
      expect(maskPreview(training[0], { tokenizer })).toBe(
        '<add>[user]3?;[assistant]⟦add(3);⟧[tool]5;[assistant]⟦five;⟧',
      );
    }
  });

  it('have several calls in one turn, written as a list', async () => {
    const calls = '[{"name":"f","arguments":{"x":1.0}},{"name":"g"}]';
    const template =
      '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls or [] %}' +
      '{{ c.function.name }}{{ c.function.arguments }}{% endfor %};{% endfor %}';
    const tokenizer = { ...smol, chatTemplate: createChatTemplate(template) };
    const conversations = [
      { from: 'human', value: 'a' },
      { from: 'function_call', value: calls },
    ];
    const { training } = await loadDataset(files.write('parallel.jsonl', jsonl({ conversations })), {
      tokenizer,
      completionOnlyLoss: false,
    });
    expect(tokenizer.decode(training[0].ids)).toBe("[user]a;[assistant]f{'x': 1.0}g{};");
  });
});

it('conversations whose turns have role and content are read as messages', async () => {
  const messages = [
    { role: 'user', content: '1+1?' },
    { role: 'assistant', content: '2' },
  ];
  const system = { role: 'system', content: 'Count.' };
  expect(await first({ conversations: messages, system: 'Count.' })).toBe(
    await first({ messages: [system, ...messages] }),
  );
});

describe('chat_template_kwargs of a row', () => {
  const template =
    '{{ style | default("plain") }}{{ ratio }}{% for m in messages %}[{{ m.role }}]{{ m.content }};' +
    '{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}';
  const tokenizer = { ...smol, chatTemplate: createChatTemplate(template) };
  const exchange = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ];
  const textOf = async (row: string | object, completionOnlyLoss = true): Promise<string> => {
    const lines = typeof row === 'string' ? `${row}\n` : jsonl(row);
    const options = { tokenizer, completionOnlyLoss, applyChatTemplate: true };
    const { training } = await loadDataset(files.write('variables.jsonl', lines), options);
    return tokenizer.decode(training[0].ids);
  };

  it.each<[string, object]>([
    ['messages', { messages: exchange }],
    ['conversations', { conversations: exchange }],
    ['prompt and completion in messages', { prompt: exchange.slice(0, 1), completion: exchange.slice(1) }],
    ['prompt and completion in words', { prompt: 'a', completion: 'b' }],
  ])('are variables of the template: %s', async (_, row) => {
    for (const completionOnlyLoss of [true, false]) {
      expect(await textOf({ ...row, chat_template_kwargs: { style: 'short' } }, completionOnlyLoss)).toBe(
        'short[user]a;[assistant]b;',
      );
      expect(await textOf({ ...row, chat_template_kwargs: null }, completionOnlyLoss)).toBe(
        'plain[user]a;[assistant]b;',
      );
    }
  });

  it('keep the spelling of numbers', async () => {
    const row = `{"messages":${JSON.stringify(exchange)},"chat_template_kwargs":{"ratio":1.0}}`;
    expect(await textOf(row)).toBe('plain1.0[user]a;[assistant]b;');
  });

  it.each<[string, unknown, RegExp]>([
    ['a list', [], /"chat_template_kwargs" must be an object \(got a list\)/],
    ['messages', { messages: [] }, /"chat_template_kwargs" must not contain "messages"/],
    ['tools', { tools: [] }, /must not contain "tools"/],
    ['a generation prompt', { add_generation_prompt: true }, /must not contain "add_generation_prompt"/],
  ])('are refused with %s', async (_, variables, message) => {
    await expect(textOf({ messages: exchange, chat_template_kwargs: variables })).rejects.toThrow(message);
  });

  it('make a row another one; a row without them keeps its fingerprint', async () => {
    const fingerprint = async (row: object): Promise<string> =>
      (await loadDataset(files.write('hashed.jsonl', jsonl(row)), { tokenizer })).report.fingerprint;
    const plain = await fingerprint({ messages: exchange });
    expect(await fingerprint({ messages: exchange, chat_template_kwargs: null })).toBe(plain);
    expect(await fingerprint({ messages: exchange, chat_template_kwargs: { style: 'x' } })).not.toBe(plain);
  });
});

it.each([
  ['system', 'Be kind.'],
  ['history', [['a', 'b']]],
])('rows of Alpaca with a %s are refused, and with an empty one they are not', async (key, content) => {
  const row = { instruction: 'Say hi', output: 'Hello' };
  await expect(first({ ...row, [key]: content })).rejects.toThrow(
    new RegExp(`format alpaca is one exchange, and has no "${key}"\\. Write the row as "messages"`),
  );
  for (const empty of ['', [], null]) expect(await first({ ...row, [key]: empty })).toBe(await first(row));
});

describe('tool calls and tools', () => {
  const template =
    '{{ tools | tojson }}{% for m in messages %}{{ m.role }}{% for c in m.tool_calls or [] %}{{ ' +
    'c.function.arguments | tojson }}{{ c.function.arguments }}{% endfor %}{{ m.content or "" }};{% endfor ' +
    '%}{% if add_generation_prompt %}assistant{% endif %}';
  const tokenizer = { ...smol, chatTemplate: createChatTemplate(template) };
  const numbers = '{"share": 1.0, "10": -0.0, "2": 12345678901234567890, "list": [1E5, 3, 0.5], "no": {}}';
  const json = '{"share": 1.0, "10": -0.0, "2": 12345678901234567890, "list": [100000.0, 3, 0.5], "no": {}}';
  const printed = json.replaceAll('"', "'"); // of json.dumps and of str in Python 3.13
  const toolCall = `{"function":{"name":"f","arguments":${numbers}}}`;
  const call = `{"role":"assistant","content":null,"weight":1.0,"tool_calls":[${toolCall}]}`;
  const user = '{"role":"user","content":"q"}';

  it.each([
    ['messages', `{"messages":[${user},${call}],"tools":[${numbers}]}`],
    [
      'messages with tools as text',
      `{"messages":[${user},${call}],"tools":${JSON.stringify(`[${numbers}]`)}}`,
    ],
    ['lists of messages', `{"prompt":[${user}],"completion":[${call}],"tools":[${numbers}]}`],
    [
      'sharegpt',
      `{"conversations":[{"from":"human","value":"q"},{"from":"function_call","value":` +
        `${JSON.stringify(`{"name":"f","arguments":${numbers}}`)}}],"tools":[${numbers}]}`,
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
      message: expect.stringMatching(/more than 64 levels of nesting/) as string,
    });
    await expect(first(ofCall('{"name":"f","arguments":{"__proto__":1}}'))).rejects.toMatchObject({
      code: 'BAD_DATA',
      message: expect.stringMatching(/has the key __proto__/) as string,
    });
    await expect(first(ofCall('1.0'))).rejects.toThrow(
      /"name" in conversations\[1\]\.value must be a string \(got nothing/,
    );
    await expect(first({ messages: [{ role: 'user', content: 'q' }], tools: '1.0' })).rejects.toThrow(
      /"tools" must be a list \(got a number/,
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

  it('of 0 is alone without loss where prompts have it too', async () => {
    expect(await first({ messages: messages(0) }, false)).toMatch(
      /⟦.*1\+1\?.*assistant\n⟧3<\|im_end\|>\n⟦<\|im_start\|>user\nno.*2<\|im_end\|>\n⟧$/s,
    );
    const [prompt, completion] = [messages(1).slice(0, 3), messages(1).slice(3)];
    expect(await first({ prompt, completion }, false)).toMatch(/^[^⟦]*⟦[^⟧]*⟧$/);
  });

  it('of anything else is refused', async () => {
    await expect(first({ messages: messages(0.5) })).rejects.toThrow(
      /The weight of message 1 must be 0 or 1 \(got 0.5/,
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
    expect.stringMatching(/^Rows have tool_calls and tools, but the chat template never writes them/),
  ]);
  expect(await notesWith(`{{ tools | tojson }}${plain}`)).toEqual([
    expect.stringMatching(/^Rows have tool_calls, but/),
  ]);
  expect(
    await notesWith(
      `{{ tools | tojson ` +
        `}}${plain.replace('{{ m.content }}', '{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}')}`,
    ),
  ).toEqual([]);
});

it('a note names arguments of tool calls that the template writes as a quoted string', async () => {
  const rowWith = (given: unknown): object => ({
    messages: [
      { role: 'user', content: 'q' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [{ type: 'function', function: { name: 'f', arguments: given } }],
      },
    ],
  });
  const template = (call: string): string =>
    '{% for m in messages %}[{{ m.role }}]{{ m.content }}' +
    `{% for c in m.tool_calls or [] %}${call}{% endfor %}{% endfor %}` +
    '{% if add_generation_prompt %}[assistant]{% endif %}';
  const notesWith = async (source: string, ...given: unknown[]): Promise<readonly string[]> => {
    const file = files.write('arguments.jsonl', jsonl(...given.map(rowWith)));
    const tokenizer = { ...smol, chatTemplate: createChatTemplate(source) };
    return (await loadDataset(file, { tokenizer })).report.notes;
  };
  const quoting = template('{{ c.function | tojson }}');
  expect(await notesWith(quoting, { x: 1 }, '{"x": 1}', '{"x": 2}')).toEqual([
    expect.stringMatching(
      /^Arguments of tool calls are JSON text \(the first in \S*arguments\.jsonl:2\).* Make each an object/,
    ),
  ]);
  expect(await notesWith(quoting, { x: 1 }, 'x', '{x', '')).toEqual([]);
  expect(await notesWith(template('{{ c.function.arguments }}'), '{"x": 1}')).toEqual([]);
});
