import type { SchemaTree } from 'hyparquet';

/**
 * A value of a Parquet file as JSON text, of which its column says what JavaScript's own value does not: a
 * whole number of a column of floats is `1.0`, as Python writes it, and a 64-bit integer has all its digits.
 * Dates become ISO 8601, what is no finite number null.
 *
 * @param column of the schema; none within what has no columns of its own
 */
export function parquetJson(value: unknown, column?: SchemaTree): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && column && isFloat(column)) return floatJson(value);
  if (Array.isArray(value))
    return `[${value.map((inner) => parquetJson(inner, column && elementOf(column))).join(',')}]`;
  if (typeof value !== 'object' || ArrayBuffer.isView(value) || 'toJSON' in value)
    return JSON.stringify(value);
  return `{${fieldsOf(value, column)
    .map(([key, inner, innerColumn]) => `${JSON.stringify(key)}:${parquetJson(inner, innerColumn)}`)
    .join(',')}}`;
}

const isFloat = ({ element: { type, logical_type: logical } }: SchemaTree): boolean =>
  type === 'FLOAT' || type === 'DOUBLE' || logical?.type === 'FLOAT16';

function floatJson(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/**
 * A list is a group of one repeated group of one element, or in old files of the repeated element itself; a
 * repeated column without a group is its own.
 */
function elementOf(column: SchemaTree): SchemaTree {
  const [repeated] = column.children;
  if (column.element.converted_type !== 'LIST' || !repeated) return column;
  return repeated.children.length === 1 ? repeated.children[0] : repeated;
}

/**
 * Of a map (a group of one repeated group of key and value) and of JSON as text, those that are there; else
 * every column, also those that hold nothing, which the reader leaves out.
 */
function fieldsOf(
  value: object,
  column?: SchemaTree,
): (readonly [key: string, value: unknown, column?: SchemaTree])[] {
  if (!column || column.children.length === 0) return Object.entries(value);
  if (column.element.converted_type === 'MAP')
    return Object.entries(value).map(([key, inner]) => [key, inner, column.children[0]?.children[1]]);
  return column.children.map((child) => [
    child.element.name,
    (value as Readonly<Record<string, unknown>>)[child.element.name],
    child,
  ]);
}
