import { badData, NOT_JSON } from '../bad-data.ts';
import { detectFormat, assertKeys, formatNamed, type DatasetFormat } from '../dataset/dataset-format.ts';
import type { LabelledTokens } from '../labels/mask-prompt.ts';
import { rowHash } from '../rows/row-hash.ts';
import { VARIABLES_KEY } from './read-variables.ts';
import type { Row, RowFormat, RowSettings } from './row-format.ts';

export interface RowLabeller {
  /** The format detected from the first row; null before it. */
  readonly format: RowFormat | null;
  /**
   * Tokenizes a row. Call `hash` first: it checks the row's values.
   *
   * @throws QdyloraError BAD_DATA; BAD_CONFIG if a tokenizer or a template is missing
   */
  label(row: Row): LabelledTokens;
  /**
   * Hash of the values that are trained on, in [0, 1). Rows of equal values have equal hashes.
   *
   * @throws QdyloraError BAD_DATA if a key is missing, or holds malformed JSON
   */
  hash(row: Row): number;
}

/** Labels the rows of one file. `datasetFormat` or else the first row decides their format. */
export function rowLabeller(
  settings: RowSettings,
  { datasetFormat, seed }: { readonly datasetFormat?: DatasetFormat; readonly seed: number },
): RowLabeller {
  let format: RowFormat | null = datasetFormat ? formatNamed(datasetFormat) : null;
  const formatOf = (row: Row): RowFormat => {
    format ??= detectFormat(row);
    assertKeys(row, format);
    return format;
  };
  const variableKeys = (row: Row, { readsVariables }: RowFormat): readonly string[] =>
    readsVariables?.(row, settings) ? [VARIABLES_KEY] : [];
  return {
    get format() {
      return format;
    },
    label: (row) => formatOf(row).label(row, settings),
    hash(row) {
      const rowFormat = formatOf(row);
      const { required, optional, maskKeys } = rowFormat;
      const ownVariables = variableKeys(row, rowFormat);
      assertParsed(row, [...required, ...optional, ...ownVariables]);
      const valueOf = (key: string): unknown => row.value[key] ?? null;
      // a row without these keeps the hash that it had before there were any
      const added = [...ownVariables, ...(maskKeys?.(settings) ?? [])].filter(
        (key) => !isEmpty(valueOf(key)),
      );
      const values = [...required, ...optional].map(valueOf);
      return rowHash([...values, ...added.map((key) => [key, valueOf(key)])], seed);
    },
  };
}

/** @throws QdyloraError BAD_DATA for malformed JSON anywhere in the values of the keys */
function assertParsed({ value, where }: Row, keys: readonly string[]): void {
  const wrong = keys.find((key) => holdsMalformedJson(value[key]));
  if (wrong !== undefined)
    throw badData(where, `${JSON.stringify(wrong)} holds ${NOT_JSON}`, 'Correct or delete this row.');
}

const holdsMalformedJson = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (Object.hasOwn(value, NOT_JSON) ||
    (Array.isArray(value) ? value : Object.values(value)).some(holdsMalformedJson));

const isEmpty = (value: unknown): boolean =>
  value === null || (typeof value === 'object' && Object.keys(value).length === 0);
