import {
  itemsOf,
  numberOf,
  PythonFloat,
  pythonKindOf,
  type PythonDict,
  type PythonValue,
  type RowValues,
} from '@qdylora/data';

/**
 * The rows of a split as Python's `datasets` has them after it made columns of them: each row has every field
 * of the split, None where the row lacks it; whole numbers are floats in a column with a float; and mappings
 * with the same keys have them in the order of the first one.
 *
 * @example
 * rowsOfColumns(rows); // {"q": "a", "n": 1}, {"q": "b", "n": 2.5, "hint": "h"}
 * // {"q": "a", "n": 1.0, "hint": None}, {"q": "b", "n": 2.5, "hint": "h"}
 */
export function rowsOfColumns(rows: readonly RowValues[]): readonly RowValues[] {
  const names = [...new Set(rows.flatMap(({ value }) => [...value.keys()]))];
  const records = recordsOf(
    names,
    rows.map(({ value }) => value),
  );
  return rows.map(({ where }, i) => ({ value: records[i], where }));
}

/** Mappings with all these keys, column by column of one kind. */
function recordsOf(names: readonly string[], dicts: readonly PythonDict[]): readonly PythonDict[] {
  const columns = names.map((name) => ofOneKind(dicts.map((dict) => dict.get(name) ?? null)));
  return dicts.map((_, i) => new Map(names.map((name, n) => [name, columns[n][i]])));
}

/** The values of a column; None stays as it is, and a column of several kinds too. */
function ofOneKind(column: readonly PythonValue[]): readonly PythonValue[] {
  const values = column.filter((value) => value !== null);
  const changed = changedTogether(values);
  if (changed === values) return column;
  let next = 0;
  return column.map((value) => (value === null ? null : changed[next++]));
}

function changedTogether(values: readonly PythonValue[]): readonly PythonValue[] {
  const kinds = new Set(values.map(pythonKindOf));
  if (kinds.has('float') && [...kinds].every((kind) => kind === 'float' || kind === 'integer'))
    return values.map((value) => new PythonFloat(numberOf(value)!));
  if (kinds.size !== 1) return values;
  if (kinds.has('list')) return listsOfOneKind(values.map((value) => itemsOf(value)!));
  if (!kinds.has('dict')) return values;
  const dicts = values as readonly PythonDict[];
  const names = [...dicts[0].keys()];
  const isRecord = dicts.every((dict) => dict.size === names.length && names.every((name) => dict.has(name)));
  return isRecord ? recordsOf(names, dicts) : values;
}

function listsOfOneKind(lists: readonly (readonly PythonValue[])[]): readonly PythonValue[] {
  const items = ofOneKind(lists.flat());
  let from = 0;
  return lists.map((list) => items.slice(from, (from += list.length)));
}
