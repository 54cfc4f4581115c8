const LONGEST_SHOWN = 80;

/** A value as a message shows it: text in quotes, so that '3' is not 3; long ones cut. */
export function shownValue(value: unknown): string {
  const text = textOf(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
}

function textOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'function') return `a function${value.name ? ` (${value.name})` : ''}`;
  if (ArrayBuffer.isView(value)) return value.constructor.name;
  try {
    return JSON.stringify(value, (_, part: unknown) => (typeof part === 'number' && !Number.isFinite(part) ? String(part) : part)) ?? String(value);
  } catch {
    return typeof value === 'object' ? value?.constructor.name ?? 'an object' : String(value); // a cycle, or a bigint
  }
}
