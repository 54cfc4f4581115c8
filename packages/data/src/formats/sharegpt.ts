import { badData, kindOf } from '../bad-data.ts';
import { parseJsonText } from '../rows/json/parse-json-text.ts';
import type { ChatMessage } from '../template/chat-message.ts';
import { labelMessages } from './label-messages.ts';
import { readMessages } from './messages.ts';
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
 * `function_call` turns hold JSON of `name` and `arguments`, or a list of them, and become an assistant's
 * tool calls. `observation` is the answer of a tool. Turns with `role` and `content` are read as messages.
 */
export const sharegptFormat = {
  name: 'sharegpt',
  required: ['conversations'],
  optional: ['system', 'tools'],
  readsVariables: () => true,
  label: (row, settings) => labelMessages(readTurns(row), row, settings),
} as const satisfies RowFormat;

function readTurns(row: Row): ChatMessage[] {
  const { conversations, system } = row.value;
  if (!Array.isArray(conversations) || conversations.length === 0)
    throw badData(
      row.where,
      '"conversations" must be a list of at least one turn (got ' +
        `${Array.isArray(conversations) ? 'an empty one' : kindOf(conversations)})`,
      'Correct or delete this line.',
    );
  const turns = conversations.every(isMessage)
    ? readMessages(row, 'conversations')
    : conversations.map((turn: unknown, i) => readTurn(turn, `conversations[${i}]`, row.where));
  if (system === undefined || system === null || system === '') return turns;
  if (typeof system !== 'string')
    throw badData(
      row.where,
      `"system" must be a string (got ${kindOf(system)})`,
      'Correct or delete this line.',
    );
  return turns[0].role === 'system' ? turns : [{ role: 'system', content: system }, ...turns];
}

/** True for a turn by the names of chat templates. */
function isMessage(turn: unknown): boolean {
  if (typeof turn !== 'object' || turn === null) return false;
  const { role, content, tool_calls: calls, from } = turn as Readonly<Record<string, unknown>>;
  return typeof role === 'string' && (content ?? calls ?? null) !== null && (from ?? null) === null;
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
    ? { role: 'assistant', content: null, tool_calls: readCalls(value, name, where), ...turnWeight }
    : { role, content: value, ...turnWeight };
}

/** Reads one call, or a list of calls that are made together. */
function readCalls(value: string, name: string, where: string): object[] {
  const calls = parseJsonText(value, {
    where,
    expected: `JSON of a function's name and arguments, or of a list of them, for ${name}.value`,
  });
  if (!Array.isArray(calls)) return [readCall(calls, `${name}.value`, where)];
  if (calls.length === 0)
    throw badData(where, `${name}.value must have at least one call`, 'Correct or delete this line.');
  return calls.map((call: unknown, i) => readCall(call, `${name}.value[${i}]`, where));
}

function readCall(call: unknown, name: string, where: string): object {
  const entries = call instanceof Map ? (call as ReadonlyMap<string, unknown>) : new Map<string, unknown>();
  const functionName = entries.get('name');
  const callArguments = entries.get('arguments');
  if (typeof functionName !== 'string')
    throw badData(
      where,
      `"name" in ${name} must be a string (got ${kindOf(functionName)})`,
      'Correct or delete this line.',
    );
  return { type: 'function', function: { name: functionName, arguments: callArguments ?? {} } };
}
