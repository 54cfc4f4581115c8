/** A call of a tool, as an answer has it. */
export interface ToolCall {
  readonly name: string;
  /** JSON of an object. */
  readonly arguments: string;
}

/** A call from its JSON value; null where it is none, or names no tool of `names`. */
function readCall(value: unknown, names: ReadonlySet<string>): ToolCall | null {
  if (typeof value !== 'object' || value === null) return null;
  const { name, arguments: byArguments, parameters } = value as Record<string, unknown>;
  if (typeof name !== 'string' || !names.has(name)) return null;
  const given = byArguments ?? parameters ?? {};
  const fields = typeof given === 'string' ? parsed(given) : given;
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return null;
  return { name, arguments: JSON.stringify(fields) };
}

/**
 * The calls that a JSON text holds: one object, or a list of them. Null where not all of it are calls of
 * tools of `names`.
 */
export function parseCalls(text: string, names: ReadonlySet<string>): ToolCall[] | null {
  const value = parsed(text);
  const calls = (Array.isArray(value) ? value : [value]).map((each) => readCall(each, names));
  return calls.length > 0 && calls.every((call) => call !== null) ? calls : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
