import type { SchemaTree } from 'hyparquet';

/**
 * A value of a Parquet file as JSON text. The type of the column gives what a JavaScript value does not show:
 * whole numbers in a column of floats are written as `1.0`, as in Python, and 64-bit integers keep all
 * digits. The text of a JSON column is the value itself, as written. Dates become ISO 8601, non-finite
 * numbers null.
 *
 * @param column the schema of the value; undefined inside values without columns
 */
export function parquetJson(value: unknown, column?: SchemaTree): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number' && column && isFloat(column)) return floatJson(value);
  if (typeof value === 'string' && column?.element.converted_type === 'JSON') return onOneLine(value);
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

/** Line feeds of JSON are white space between its values: those of a text are escaped. */
const onOneLine = (json: string): string => json.replaceAll('\n', ' ');

function floatJson(value: number): string {
  if (!Number.isFinite(value)) return 'null';
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

/**
 * The schema of a list's elements. A list is a group of one repeated group of one element, or in old files of
 * the repeated element itself. A repeated column without a group is its own element.
 */
function elementOf(column: SchemaTree): SchemaTree {
  const [repeated] = column.children;
  if (column.element.converted_type !== 'LIST' || !repeated) return column;
  return repeated.children.length === 1 ? repeated.children[0] : repeated;
}

/**
 * The fields of a record. For a map (a group of one repeated group of key and value) and for a record in
 * place of an unreadable value: its entries. Otherwise: every column, also columns without a value, which
 * the reader leaves out.
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
