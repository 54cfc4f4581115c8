import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  answerCharacters,
  createChatTemplate,
  labelConversation,
  NOT_COUNTED,
  type ChatMessage,
} from '../src/index.ts';
import { fixtureTokenizer } from './fixtures.ts';

const user = (content: string): ChatMessage => ({ role: 'user', content });
const assistant = (content: string): ChatMessage => ({ role: 'assistant', content });
const answersOf = (source: string, messages: ChatMessage[]): string[] => {
  const { text, spans } = answerCharacters(createChatTemplate(source), { messages }, 'row');
  return spans.map(([start, end]) => text.slice(start, end));
};

const CHATML =
  '{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if ' +
  'add_generation_prompt %}<|im_start|>assistant\n{% endif %}';
/** As Qwen 3's: only the last turn is written with (empty) thoughts. */
const THINKS_LAST =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last " +
  '%}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt ' +
  '%}<|im_start|>assistant\n{% endif %}';
/** As Phi-3's: the end token is written once, behind the last turn. */
const ENDS_ONCE =
  '{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}{% if ' +
  'add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}';
/** As Qwen 3's with tools: the last turn has empty thoughts, an earlier one only its calls. */
const CALLS =
  "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last " +
  '%}<think>\n\n</think>\n\n{% endif %}{{ m.content }}{% for c in m.tool_calls or [] %}' +
  '<call>{{ c.function.name }}</call>{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt ' +
  '%}<|im_start|>assistant\n{% endif %}';
/** As DeepSeek R1's: the generation prompt opens thoughts that written turns lack. */
const OPENS_THOUGHTS =
  '{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt ' +
  '%}<|assistant|><think>\n{% endif %}';

describe('render', () => {
  it('gives a template the same date on every machine and every day, and another one on request', () => {
    const source = "{{ strftime_now('%d %b %Y, %A %H:%M:%S %%') }}";
    expect(createChatTemplate(source).render([user('x')])).toBe('26 Jul 2024, Friday 00:00:00 %');
    expect(
      createChatTemplate(source, { date: new Date(Date.UTC(2025, 11, 3, 4, 5)) }).render([user('x')]),
    ).toBe('03 Dec 2025, Wednesday 04:05:00 %');
  });

  it.each([
    ['%d %b %y %I %p %j', '03 Dec 25 04 PM 337', '31 Jul 24 12 AM 213'],
    ['%e|%-d|%-m|%-j|%-I|%-M|%a', ' 3|3|12|337|4|5|Wed', '31|31|7|213|12|0|Wed'],
  ])('writes the date %s as Python does', (format, december, july) => {
    const source = `{{ strftime_now('${format}') }}`;
    const write = (date: Date): string => createChatTemplate(source, { date }).render([user('x')]);
    expect(write(new Date(Date.UTC(2025, 11, 3, 16, 5)))).toBe(december);
    expect(write(new Date(Date.UTC(2024, 6, 31)))).toBe(july);
  });

  it.each(['%q', '%-Y', '%x'])('refuses the date %s', (format) => {
    const template = createChatTemplate(`{{ strftime_now('${format}') }}`);
    expect(() => template.render([user('x')])).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: expect.stringContaining(`Unknown directive of strftime_now: ${format}`) as string,
      }),
    );
  });

  it.each([
    ["range('a')", 'range() takes a whole number, not a string'],
    ['range(1.5)', 'range() takes a whole number, not a number'],
    ['range()', 'range() takes 1 to 3 whole numbers'],
    ['range(1, 2, 3, 4)', 'range() takes 1 to 3 whole numbers'],
    ['range(3, step=2)', 'range() takes 1 to 3 whole numbers'],
    ['range(0, 3, 0)', 'the step of range() cannot be zero'],
  ])('fails on %s, as Python does', (range, message) => {
    expect(() => createChatTemplate(`{{ ${range} }}`).render([user('x')])).toThrow(
      expect.objectContaining({ code: 'BAD_DATA', message: expect.stringContaining(message) as string }),
    );
  });

  it('passes tools, extra keys of messages and special tokens to the template', () => {
    const template = createChatTemplate(
      '{{ bos_token }}{% for t in tools %}{{ t.name }}{% endfor %}{{ messages[0].tool_calls | length }}',
      { variables: { bos_token: '<s>' } },
    );
    expect(
      template.render([{ role: 'assistant', content: null, tool_calls: [1, 2] }], {
        tools: [{ name: 'add' }],
      }),
    ).toBe('<s>add2');
  });

  it('has no marks of answers in comments', () => {
    const marksAnswers = (source: string): boolean => createChatTemplate(source).marksAnswers;
    const block = '{%- generation -%}a{% endgeneration %}';
    expect([
      marksAnswers(block),
      marksAnswers(`{# ${block} #}`),
      marksAnswers(`{# ${block} #}${block}`),
    ]).toEqual([true, false, true]);
  });

  it('knows no documents, but their name', () => {
    const render = (source: string): string => createChatTemplate(source).render([user('x')]);
    expect(render('{{ documents is defined }}{{ documents is none }}{{ documents }}')).toBe('TrueTrueNone');
  });

  it('counts with range as Python does, but not to a billion', () => {
    const render = (range: string): string =>
      createChatTemplate(`{% for i in ${range} %}{{ i }},{% endfor %}`).render([user('x')]);
    expect([render('range(3)'), render('range(2, 5)'), render('range(5, 0, -2)')]).toEqual([
      '0,1,2,',
      '2,3,4,',
      '5,3,1,',
    ]);
    expect(() => render('range(1000000000)')).toThrow(/range of 1000000000 numbers/);
  });

  it.each(['indent=10 ** 8', 'indent=10 ** 15', 'indent=big', "separators=(big, ':')"])(
    'ends a template that asks for a text without end by tojson(%s)',
    (option) => {
      const big =
        "{% set ns = namespace(big='0123456789abcdef') %}{% for i in range(11) %}{% set ns.big = ns.big ~ " +
        'ns.big %}{% endfor %}{% set big = ns.big %}';
      expect(() =>
        createChatTemplate(`${big}{{ range(9000) | list | tojson(${option}) }}`).render([user('x')]),
      ).toThrow(
        expect.objectContaining({
          code: 'BAD_CONFIG',
          message: expect.stringMatching(/The template asks for more than 1000000 steps/) as string,
        }),
      );
    },
  );

  it('names the row and the words of the template that refuses it', () => {
    const template = createChatTemplate("{{ raise_exception('roles must alternate') }}");
    expect(() => template.render([user('x')], { where: 'chat.jsonl:3' })).toThrow(
      expect.objectContaining({
        code: 'BAD_DATA',
        message: expect.stringMatching(/^\[chat\.jsonl:3\] .*roles must alternate\. Correct/) as string,
      }),
    );
  });

  it('names the place of an operator that is not implemented', () => {
    const template = createChatTemplate("{{ 5 % 2 }}\n{{ '%s: %s' % (messages[0].role, 'x') }}");
    expect(() => template.render([user('x')])).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(
          /Unknown operator: % after a string at line 2, column 13 \(%\)/,
        ) as string,
      }),
    );
  });

  it('finds a template that is not Jinja only when it is used', () => {
    const template = createChatTemplate('{% for %}');
    expect(() => template.render([user('x')])).toThrow(expect.objectContaining({ code: 'BAD_CONFIG' }));
  });
});

describe('answers', () => {
  const exchange = [user('1+1?'), assistant('2'), user('2+2?'), assistant('4')];

  it('end with what closes the turn', () => {
    expect(answersOf(CHATML, exchange)).toEqual(['2<|im_end|>\n', '4<|im_end|>\n']);
  });

  it('are found where the last turn is written otherwise than earlier ones', () => {
    expect(answersOf(THINKS_LAST, exchange)).toEqual([
      '2<|im_end|>\n',
      '<think>\n\n</think>\n\n4<|im_end|>\n',
    ]);
  });

  it('are found where the generation prompt says more than a written turn', () => {
    expect(answersOf(OPENS_THOUGHTS, exchange)).toEqual(['2<|end|>', '4<|end|>']);
  });

  it('of earlier turns lack the end token that the template writes once, behind the last turn', () => {
    const template = createChatTemplate(ENDS_ONCE, { variables: { eos_token: '<|endoftext|>' } });
    const { text, spans } = answerCharacters(template, { messages: exchange }, 'row');
    expect(spans.map(([start, end]) => text.slice(start, end))).toEqual([
      '2<|end|>\n',
      '4<|end|>\n<|endoftext|>',
    ]);
  });

  it('without words are found by their calls where the last turn is written otherwise', () => {
    const calls = (...names: string[]): ChatMessage => ({
      role: 'assistant',
      content: null,
      tool_calls: names.map((name) => ({ type: 'function', function: { name } })),
    });
    const result = { role: 'tool', content: '4' };
    const messages = [user('2+2?'), calls('add', 'print'), result, assistant('4')];
    expect(answersOf(CALLS, messages)).toEqual([
      '<call>add</call><call>print</call><|im_end|>\n',
      '<think>\n\n</think>\n\n4<|im_end|>\n',
    ]);
    expect(() => answersOf(CALLS, [user('2+2?'), calls(''), result, assistant('4')])).toThrow(
      /rewrites earlier turns, so what messages\[1\] added/,
    );
  });

  it(
    'of a first turn have neither its header nor what the template says of its own accord, however it ' +
      'writes turns',
    () => {
      const opened = [assistant('Ask me.'), ...exchange];
      const system =
        "{% if messages[0].role != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}";
      expect(answersOf(system + CHATML, opened)).toEqual([
        'Ask me.<|im_end|>\n',
        '2<|im_end|>\n',
        '4<|im_end|>\n',
      ]);
      expect(answersOf(system + THINKS_LAST, [opened[0]])).toEqual([
        '<think>\n\n</think>\n\nAsk me.<|im_end|>\n',
      ]); // as generation would write them
      expect(answersOf(`{{ '<s>' }}${OPENS_THOUGHTS}`, opened)).toEqual([
        'Ask me.<|end|>',
        '2<|end|>',
        '4<|end|>',
      ]);
      expect(
        answersOf(
          `{{ '<s>' }}` +
            CHATML.replace('assistant\n{% endif', '{% endif').replace(
              '{{ m.content }}',
              '{{ m.content | trim }}',
            ),
          [assistant('  Ask me. '), user('1')],
        ),
      ).toEqual(['assistant\nAsk me.<|im_end|>\n']);
      expect(
        answersOf('<s>{% for m in messages %}[{{ m.role }}] {{ m.content | trim }} {% endfor %}', [
          assistant(' Ask me.'),
          user('1'),
        ]),
      ).toEqual(['Ask me. ']); // no generation prompt at all
      expect(
        answersOf(
          CHATML.replace('{{ m.content }}', '{% if m.tool_calls %}CALL{% else %}{{ m.content }}{% endif %}'),
          [{ role: 'assistant', content: null, tool_calls: [{}] }, user('1')],
        ),
      ).toEqual(['CALL<|im_end|>\n']);
    },
  );

  it('are what stands between generation marks, which change no character of the text', () => {
    const dash = fc.constantFrom('', '-');
    const space = fc.constantFrom('', ' ', '\n', ' \n  ', 'x');
    const neighbour = fc.constantFrom('', "{{ '' }}", "{{- '' }}", "{{ '' -}}", '{%- if true -%}{% endif %}');
    fc.assert(
      fc.property(
        fc.array(dash, { minLength: 6, maxLength: 6 }),
        fc.array(space, { minLength: 6, maxLength: 6 }),
        fc.array(neighbour, { minLength: 2, maxLength: 2 }),
        ([a, b, c, d, i, j], [e, f, g, h, k, l], [before, after]) => {
          const answer = `${f}{{${i} m.content ${j}}}${g}`;
          const marked = CHATML.replace(
            '{{ m.content }}',
            `${k}${before}${e}{%${a} generation ${b}%}${answer}{%${c} endgeneration ${d}%}${h}${after}${l}`,
          );
          const template = createChatTemplate(marked);
          const { text, spans } = template.renderMarked(exchange);
          expect(text).toBe(template.render(exchange));
          expect(spans.map(([start, end]) => text.slice(start, end).replaceAll(/[\sx]/g, ''))).toEqual([
            '1+1?',
            '2',
            '2+2?',
            '4',
          ]);
        },
      ),
    );
  });

  it.each([
    ['Assistant: {% generation %}{{- m.content -}}{% endgeneration %} ', 'Assistant: hi ', 'hi'],
    ['{{ m.role -}} {% generation %} {{- m.content }}{% endgeneration %}', 'assistanthi', 'hi'],
    ['{{ m.role -}}{% generation %} {{ m.content }}{% endgeneration %} {{- "." }}', 'assistant hi.', ' hi'],
    ['{# {% generation %} #}{%- generation %}{{ m.content }} {% endgeneration %} {{- "." }}', 'hi .', 'hi '],
  ])('have marks that bound the white space beside them, as in Jinja: %j', (turn, expected, answer) => {
    const template = createChatTemplate(`{% for m in messages %}${turn}{% endfor %}`);
    expect(template.render([assistant('hi')])).toBe(expected);
    const { text, spans } = template.renderMarked([assistant('hi')]);
    expect([text, ...spans.map(([start, end]) => text.slice(start, end))]).toEqual([expected, answer]);
  });

  it('have marks whose names are gone behind them, as in Jinja', () => {
    const template = createChatTemplate(
      '{% set y = 0 %}{% for i in [1, 2] %}{% generation %}{% set y = i %}{{ y }}{% endgeneration %}' +
        '[{{ y }}]{% endfor %}',
    );
    expect(template.render([])).toBe('1[0]2[0]');
    expect(template.renderMarked([])).toEqual({
      text: '1[0]2[0]',
      spans: [
        [0, 1],
        [4, 5],
      ],
    });
  });

  it.each([
    ['{% endgeneration %}', 'column 2 ({% endgeneration %}): Unknown statement type: endgeneration.'],
    ['{%- generation -%}', 'column 2 ({%- generation -%})'],
    ['{% generation %}{% if x %}{%- endgeneration %}', 'column 28 ({%- endgeneration %}): Unknown statement'],
    ['{% generation %}{{ m }}{% endfor %}', 'column 25 ({% endfor %}): Unknown statement type: endfor.'],
  ])('have marks that an error quotes as written, at their place: %s', (part, problem) => {
    const template = createChatTemplate(`:${part}`);
    for (const render of [template.renderMarked, template.render])
      expect(() => render([])).toThrow(
        expect.objectContaining({
          code: 'BAD_CONFIG',
          message: expect.stringContaining(`line 1, ${problem}`) as string,
        }),
      );
  });

  it('are refused, naming the message, where the template rewrites earlier turns', () => {
    const rewrites = '{{ messages | length }}{% for m in messages %}{{ m.content }};{% endfor %}';
    expect(() => answersOf(rewrites, exchange)).toThrow(
      expect.objectContaining({
        code: 'BAD_DATA',
        message: expect.stringMatching(/\[row\].*messages\[1\].*\{% generation %\}/) as string,
      }),
    );
  });

  it('are refused with other advice where a single answer changes what is written before it', () => {
    const dropsSystem =
      "{% for m in messages %}{% if m.role == 'system' %}{% elif m.role == 'user' %}[INST]{% if loop.last " +
      "and messages[0].role == 'system' %}{{ messages[0].content }} {% endif %}{{ m.content }}[/INST]" +
      '{% else %}{{ m.content }};{% endif %}{% endfor %}';
    const refusal = (messages: ChatMessage[]): unknown => {
      try {
        return answersOf(dropsSystem, messages);
      } catch (error) {
        return (error as Error).message;
      }
    };
    const system = { role: 'system', content: 'Be kind.' };
    expect(refusal([system, ...exchange.slice(0, 2)])).toMatch(
      /differently once the answer follows, so what messages\[2\].*into the first user message/,
    );
    expect(refusal([system, ...exchange])).toMatch(/rewrites earlier turns.*into single exchanges/);
  });

  it('count the token that an answer shares with its header', () => {
    const tokenizer = fixtureTokenizer('smollm2', 'own');
    const template = createChatTemplate(CHATML);
    const label = (content: string) =>
      labelConversation(
        { messages: [user('code?'), assistant(content)] },
        { tokenizer, template, completionOnlyLoss: true, where: 'row' },
      );
    const counted = ({ ids, labels }: ReturnType<typeof label>): string =>
      tokenizer.decode(ids.filter((_, t) => labels[t] !== NOT_COUNTED));
    expect(counted(label('return 1'))).toBe('return 1<|im_end|>\n');
    // the header's newline and the answer's are one token
    expect(counted(label('\n\nreturn 1'))).toBe('\n\n\nreturn 1<|im_end|>\n');
  });

  it('are every token when the loss is not on completions only', () => {
    const tokenizer = fixtureTokenizer('smollm2', 'own');
    const { ids, labels } = labelConversation(
      { messages: exchange },
      { tokenizer, template: createChatTemplate(CHATML), completionOnlyLoss: false, where: 'row' },
    );
    expect(labels).toEqual(ids);
  });
});
