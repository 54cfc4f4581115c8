import { badData, kindOf } from '../bad-data.ts';
import { parseJsonText } from '../rows/json/parse-json-text.ts';
import type { ChatMessage } from '../template/chat-message.ts';
import { labelMessages } from './label-messages.ts';
import type { Row, RowFormat } from './row-format.ts';

/** Roles by the names that such files use. */
const ROLES: ReadonlyMap<string, string> = new Map([
  ['human', 'user'],
  ['user', 'user'],
  ['gpt', 'assistant'],
  ['assistant', 'assistant'],
  ['model', 'assistant'],
  ['chatgpt', 'assistant'],
  ['system', 'system'],
  ['tool', 'tool'],
  ['observation', 'tool'],
  ['function_response', 'tool'],
  ['function_call', 'function_call'],
]);

/**
 * ShareGPT's conversations: `{"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value":
 * "…"}], "system": "…", "tools": […]}`.
 * `function_call` turns hold JSON of `name` and `arguments` and become an assistant's tool calls.
 * `observation` is the answer of a tool.
 */
export const sharegptFormat: RowFormat = {
  name: 'sharegpt',
  required: ['conversations'],
  optional: ['system', 'tools'],
  hasPrompts: true,
  label: (row, settings) => labelMessages(readTurns(row), row, settings),
};

function readTurns(row: Row): ChatMessage[] {
  const { conversations, system } = row.value;
  if (!Array.isArray(conversations) || conversations.length === 0)
    throw badData(
      row.where,
      '"conversations" must be a list of at least one turn (got ' +
        `${Array.isArray(conversations) ? 'an empty one' : kindOf(conversations)})`,
      'Correct or delete this line.',
    );
  const turns = conversations.map((turn: unknown, i) => readTurn(turn, `conversations[${i}]`, row.where));
  if (system === undefined || system === null || system === '') return turns;
  if (typeof system !== 'string')
    throw badData(
      row.where,
      `"system" must be a string (got ${kindOf(system)})`,
      'Correct or delete this line.',
    );
  return turns[0].role === 'system' ? turns : [{ role: 'system', content: system }, ...turns];
}

function readTurn(turn: unknown, name: string, where: string): ChatMessage {
  if (typeof turn !== 'object' || turn === null)
    throw badData(where, `${name} must be an object (got ${kindOf(turn)})`, 'Correct or delete this line.');
  const { from, value, weight } = turn as { from?: unknown; value?: unknown; weight?: unknown };
  if (typeof from !== 'string' || !ROLES.has(from))
    throw badData(
      where,
      `${name}.from must be one of ${[...ROLES.keys()].join(', ')} (got ` +
        `${typeof from === 'string' ? JSON.stringify(from.slice(0, 40)) : kindOf(from)})`,
      'Correct or delete this line.',
    );
  if (typeof value !== 'string')
    throw badData(
      where,
      `${name}.value must be a string (got ${kindOf(value)})`,
      'Correct or delete this line.',
    );
  const role = ROLES.get(from)!;
  const turnWeight = weight === undefined ? {} : { weight };
  return role === 'function_call'
    ? { role: 'assistant', content: null, tool_calls: [readCall(value, name, where)], ...turnWeight }
    : { role, content: value, ...turnWeight };
}

function readCall(value: string, name: string, where: string): object {
  const call = parseJsonText(value, {
    where,
    expected: `JSON of a function's name and arguments for ${name}.value`,
  });
  const entries = call instanceof Map ? (call as ReadonlyMap<string, unknown>) : new Map<string, unknown>();
  const functionName = entries.get('name');
  const callArguments = entries.get('arguments');
  if (typeof functionName !== 'string')
    throw badData(
      where,
      `"name" in ${name}.value must be a string (got ${kindOf(functionName)})`,
      'Correct or delete this line.',
    );
  return { type: 'function', function: { name: functionName, arguments: callArguments ?? {} } };
}
