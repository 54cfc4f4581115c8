import { partsOf } from './json-parts.ts';

/** A call of a tool, as an answer has it. */
export interface ToolCall {
  readonly name: string;
  /** JSON of an object, as the model wrote it, with its digits of numbers and its order of keys. */
  readonly arguments: string;
}

/** A call from its JSON text; null where it is none, or names no tool of `names`. */
function readCall(text: string, names: ReadonlySet<string>): ToolCall | null {
  const call = parsed(text);
  if (!isObject(call)) return null;
  const { name } = call;
  if (typeof name !== 'string') return null;
  const key = ['arguments', 'parameters'].find((each) => (call[each] ?? null) !== null);
  const callArguments = key === undefined ? '{}' : call[key];
  return callOf(
    name,
    typeof callArguments === 'string' ? callArguments.trim() : valueText(text, key!),
    names,
  );
}

/** A call of a tool with these arguments; null where `names` has no such tool, or they are no object. */
export const callOf = (name: string, written: string, names: ReadonlySet<string>): ToolCall | null =>
  names.has(name) && isObject(parsed(written)) ? { name, arguments: written } : null;

/** The text of a value of an object. Of several with one key the last one counts, as in `JSON.parse`. */
function valueText(object: string, key: string): string {
  const parts = partsOf(object);
  const at = parts.findLastIndex((part, i) => i % 2 === 0 && JSON.parse(part) === key);
  return parts[at + 1];
}

/**
 * The calls that a JSON text holds: one object, or a list of them. Null where not all of it are calls of
 * tools of `names`.
 */
export function parseCalls(text: string, names: ReadonlySet<string>): ToolCall[] | null {
  const texts = Array.isArray(parsed(text)) ? partsOf(text) : [text];
  const calls = texts.map((each) => readCall(each, names));
  return calls.every((call) => call !== null) ? calls : null;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
