import { compareTexts } from './compare-texts.ts';
import { ExactNumber } from '../../rows/json/exact-number.ts';
import { floatText, type Step } from './python-text.ts';
import { nameOf, itemsOf, PythonFloat, type Dict, type Value } from './values.ts';

/** The options of `json.dumps` that chat templates can set. */
export interface JsonTextOptions {
  readonly ensureAscii?: boolean;
  /** Number of spaces, or a text, per level of indentation; null: all on one line. */
  readonly indent?: number | string | null;
  readonly separators?: readonly [item: string, key: string] | null;
  readonly sortKeys?: boolean;
}

/**
 * Number of characters between two parts that are free of steps: an indent of 4 at 15 levels. A template may
 * ask for any indent.
 */
const FREE = 64;

/**
 * `json.dumps(value)`: `{"a": 1.0, "b": [null, 1e+16]}`. Calls `step` for every part, and for long indents
 * before they are made.
 */
export const jsonText = (value: Value, options: JsonTextOptions, step: Step): string =>
  nestedText(value, 0, { options, step });

interface JsonContext {
  readonly options: JsonTextOptions;
  readonly step: Step;
}

/** The text of a value at a level of nesting. */
function nestedText(value: Value, depth: number, context: JsonContext): string {
  const { options, step } = context;
  const { indent = null, separators } = options;
  const [comma, colon] = separators ?? [indent === null ? ', ' : ',', ': '];
  const inner = (part: Value): string => nestedText(part, depth + 1, context);
  const lines = (open: string, parts: readonly string[], close: string): string => {
    const unitLength = typeof indent === 'number' ? Math.max(0, indent) : (indent?.length ?? 0);
    step(parts.length * Math.floor((comma.length + colon.length + unitLength * (depth + 1)) / FREE));
    if (indent === null || parts.length === 0) return open + parts.join(comma) + close;
    const unit = typeof indent === 'number' ? ' '.repeat(Math.max(0, indent)) : indent;
    const newLine = `\n${unit.repeat(depth + 1)}`;
    return `${open}${newLine}${parts.join(comma + newLine)}\n${unit.repeat(depth)}${close}`;
  };
  step(1);
  if (value === null) return 'null';
  if (typeof value === 'boolean' || typeof value === 'number') return String(value);
  if (typeof value === 'string') return jsonString(value, options);
  if (value instanceof ExactNumber) return value.digits;
  if (value instanceof PythonFloat) return jsonFloat(value.value);
  const items = itemsOf(value);
  if (items) return lines('[', items.map(inner), ']');
  if (value instanceof Map) {
    const entries = [...(value as Dict)];
    if (options.sortKeys) entries.sort(([a], [b]) => compareTexts(a, b));
    return lines(
      '{',
      entries.map(([key, part]) => jsonString(key, options) + colon + inner(part)),
      '}',
    );
  }
  throw new Error(`${nameOf(value)} is not JSON serializable`);
}

const jsonFloat = (value: number): string =>
  Number.isFinite(value)
    ? floatText(value)
    : Number.isNaN(value)
      ? 'NaN'
      : value > 0
        ? 'Infinity'
        : '-Infinity';

function jsonString(text: string, { ensureAscii = false }: JsonTextOptions): string {
  const quoted = JSON.stringify(text);
  return ensureAscii
    ? quoted.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    : quoted;
}
