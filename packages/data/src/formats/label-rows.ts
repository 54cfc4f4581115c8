import { detectFormat, assertKeys, formatNamed, type DatasetFormat } from '../dataset/dataset-format.ts';
import type { LabelledTokens } from '../labels/mask-prompt.ts';
import { rowHash } from '../rows/row-hash.ts';
import { VARIABLES_KEY } from './read-variables.ts';
import type { Row, RowFormat, RowSettings } from './row-format.ts';

export interface RowLabeller {
  /** The format detected from the first row; null before it. */
  readonly format: RowFormat | null;
  /** Checks a row's keys without tokenizing it. @throws QdyloraError BAD_DATA */
  check(row: Row): void;
  /** Tokenizes a row. @throws QdyloraError BAD_DATA; BAD_CONFIG if a tokenizer or a template is missing */
  label(row: Row): LabelledTokens;
  /** Hash of the row's content, in [0, 1). Equal rows have equal hashes. */
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
  return {
    get format() {
      return format;
    },
    check: (row) => {
      formatOf(row);
    },
    label: (row) => formatOf(row).label(row, settings),
    hash(row) {
      const { required, optional, readsVariables } = formatOf(row);
      const valueOf = (key: string): unknown => row.value[key] ?? null;
      const variables = readsVariables?.(row, settings) ? valueOf(VARIABLES_KEY) : null;
      // a row without them keeps the hash that it had before there were any
      const added = isEmpty(variables) ? [] : [[VARIABLES_KEY, variables]];
      return rowHash([...[...required, ...optional].map(valueOf), ...added], seed);
    },
  };
}

const isEmpty = (variables: unknown): boolean =>
  variables === null || (typeof variables === 'object' && Object.keys(variables).length === 0);
