import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCalls } from './parse-calls.ts';
import { toolCallFormatOf, type ToolCallFormat } from './tool-call-format.ts';
import { createToolCallReader } from './tool-call-reader.ts';

const NAMES = new Set(['add', 'weather']);

/** All text and calls of an answer that comes in these pieces. */
function read(format: ToolCallFormat, pieces: readonly string[]) {
  const reader = createToolCallReader(format, NAMES);
  const told = [...pieces.map((piece) => reader.push(piece)), reader.finish()];
  return {
    text: told.map(({ text }) => text).join(''),
    calls: told.flatMap(({ calls }) => calls.map((call) => `${call.name}${call.arguments}`)),
  };
}

const ADDED = '{"a": 1, "b": "</x>"}';
const CALL = `{"name": "add", "arguments": ${ADDED}}`;
const OTHER = '{"name": "weather", "parameters": {}}';
/** A call of a tool that nobody has: no call, whatever stands before it. */
const UNKNOWN = CALL.replace('add', 'none');
const FOUND = ['add{"a": 1, "b": "</x>"}', 'weather{}'];

describe('calls', () => {
  test.each<[string, ToolCallFormat, string, string]>([
    ['in tags', 'tagged', `<tool_call>\n${CALL}\n</tool_call>\n<tool_call>${OTHER}</tool_call>\n`, ''],
    [
      'in tags after a text',
      'tagged',
      `Wait. \n<tool_call>${CALL}</tool_call><tool_call>${OTHER}</tool_call>`,
      'Wait.',
    ],
    ['in a list', 'list', ` [${CALL}, ${OTHER}]`, ''],
    ['in a list behind its marker', 'list', `[TOOL_CALLS][${CALL}, ${OTHER}]`, ''],
    ['in a list behind a text', 'list', `Wait. [TOOL_CALLS] [${CALL}, ${OTHER}]`, 'Wait.'],
    ['in lists, before a text', 'list', `[TOOL_CALLS][${CALL}] [TOOL_CALLS][${OTHER}] ok`, ' ok'],
    ['behind their names', 'named', `[TOOL_CALLS]add[ARGS]${ADDED}[TOOL_CALLS]weather[ARGS]{}`, ''],
    [
      'behind their names and ids, after a text',
      'named',
      `Wait [a].\n[TOOL_CALLS]add[CALL_ID]x1[ARGS]${ADDED}\n[TOOL_CALLS] weather[CALL_ID]y2[ARGS] {}\n`,
      'Wait [a].',
    ],
    ['as objects', 'object', `${CALL}; ${OTHER}`, ''],
    ['as objects behind a tag', 'object', `<|python_tag|>${CALL};${OTHER}`, ''],
    ['as objects behind a tag after a text', 'object', `Wait. <|python_tag|>${CALL};${OTHER}`, 'Wait.'],
    ['as objects in lines, with a semicolon at the end', 'object', `${CALL}\n${OTHER};\n`, ''],
    [
      'in a tag that is not closed',
      'tagged',
      `Wait.<tool_call>${CALL}</tool_call><tool_call>\n${OTHER}`,
      'Wait.',
    ],
  ])('%s are found, whatever pieces the answer comes in', (_, format, answer, text) => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: answer.length }), { maxLength: 20 }), (places) => {
        const cuts = [0, ...places.sort((a, b) => a - b), answer.length];
        const pieces = cuts.slice(1).map((end, i) => answer.slice(cuts[i], end));
        expect(read(format, pieces)).toEqual({ text, calls: FOUND });
      }),
    );
  });

  test('a text within a call that looks like the end of one is part of it', () => {
    const answer = '{"name": "add", "parameters": {"code": "a(); {b}"}}';
    const found = 'add{"code": "a(); {b}"}';
    expect(read('object', [answer])).toEqual({ text: '', calls: [found] });
    expect(read('object', [`${answer}; ${answer}`])).toEqual({ text: '', calls: [found, found] });
  });

  test('arguments that are a text of JSON are the object that it holds', () => {
    const answer = '{"name": "add", "arguments": "{\\"a\\": 2}"}';
    expect(read('object', [answer]).calls).toEqual(['add{"a": 2}']);
  });

  test.each([
    '{"b": 1.0, "10": 12345678901234567890, "2": [1e2, -0]}',
    '{ "a,]}": "\\"}{:", "nested": {"arguments": {}, "x": [[], {}]} }',
    '{}',
  ])('the arguments %s are returned as they are written', (text) => {
    for (const answer of [
      `{"name": "add", "arguments": ${text}}`,
      `{"parameters": ${text} , "arguments": null, "name": "add"}`,
      `{"arguments": {"old": 1}, "name": "add", "arguments":${text}}`,
      JSON.stringify({ name: 'add', arguments: text }),
    ])
      for (const calls of [answer, `[ ${answer} ,${answer}]`])
        expect(new Set(parseCalls(calls, NAMES)!.map((call) => call.arguments))).toEqual(new Set([text]));
  });
});

const FORMATS = ['tagged', 'list', 'named', 'object'] as const;

test('an answer without calls is the text as it is, and of plain text only white space is held back', () => {
  const part = fc.oneof(
    fc.string(),
    fc.constantFrom(
      '<tool_call>',
      '</tool_call>',
      '[TOOL_CALLS]',
      '[TOOL_CALLS]none[ARGS]{}',
      '<|python_tag|>',
      ';',
      '[',
      '{',
      ' ',
      '\n',
      UNKNOWN,
      UNKNOWN.slice(1),
    ),
  );
  fc.assert(
    fc.property(fc.constantFrom(...FORMATS), fc.array(part), (format, pieces) => {
      expect(read(format, pieces)).toEqual({ text: pieces.join(''), calls: [] });
    }),
  );
  fc.assert(
    fc.property(fc.constantFrom(...FORMATS), fc.stringMatching(/^\w[\w ,.]*$/), (format, text) => {
      expect(createToolCallReader(format, NAMES).push(text).text.trimEnd()).toBe(text.trimEnd());
    }),
  );
});

test('what looks like a call but is none stays text', () => {
  for (const json of [
    '{"name": "sub", "arguments": {}}',
    '{"name": "add", "arguments": [1]}',
    '{"name": "add"',
    '[]',
  ]) {
    expect(read('tagged', [`<tool_call>${json}</tool_call>`])).toEqual({
      text: `<tool_call>${json}</tool_call>`,
      calls: [],
    });
    const named = `[TOOL_CALLS]sub[ARGS]{}[TOOL_CALLS]add[ARGS]${json.slice(1)}`;
    for (const [format, answer] of [
      ['tagged', `<tool_call>${json}`],
      ['list', json],
      ['list', `[TOOL_CALLS]${json}`],
      ['named', named],
      ['named', named.slice('[TOOL_CALLS]sub[ARGS]{}'.length)],
      ['object', json],
      ['object', `${CALL}; ${json}`],
      ['object', `${CALL} is a call`],
      ['list', `[${CALL}] is a list`],
    ] as const)
      expect(read(format, [answer])).toEqual({ text: answer, calls: [] });
  }
});

test('the format is that of the template', () => {
  expect(toolCallFormatOf("'\\n<tool_call>\\n' + tool_call.arguments | tojson")).toBe('tagged');
  expect(toolCallFormatOf('{{- "[TOOL_CALLS] [" }}')).toBe('list');
  expect(toolCallFormatOf("'[TOOL_CALLS]' + name + '[ARGS]' + arguments")).toBe('named');
  expect(toolCallFormatOf('Respond in the format {"name": function name, "parameters": dictionary')).toBe(
    'object',
  );
  expect(toolCallFormatOf('{{ tools | tojson }}')).toBeNull();
});
