import { QdyloraError } from '@qdylora/contract';
import { badData } from '../bad-data.ts';
import { alpacaFormat } from '../formats/alpaca.ts';
import { messagesFormat } from '../formats/messages.ts';
import { promptCompletionFormat } from '../formats/prompt-completion.ts';
import { questionAnswerFormat } from '../formats/question-answer.ts';
import type { Row, RowFormat } from '../formats/row-format.ts';
import { sharegptFormat } from '../formats/sharegpt.ts';
import { textFormat } from '../formats/text.ts';
import { tokensFormat } from '../formats/tokens.ts';

/** The row formats, in the order in which they are tried on a first row. */
const ROW_FORMATS = [
  tokensFormat,
  messagesFormat,
  sharegptFormat,
  promptCompletionFormat,
  questionAnswerFormat,
  alpacaFormat,
  textFormat,
] as const;

/** The format of a file that is one text, not rows. */
export const PLAIN_TEXT = 'plain_text';

/** The values of `dataset_format`. */
export type DatasetFormat = (typeof ROW_FORMATS)[number]['name'] | typeof PLAIN_TEXT;
/** Every `DatasetFormat`, in the order in which they are tried on a first row; plain text is last. */
export const DATASET_FORMATS: readonly [DatasetFormat, ...DatasetFormat[]] = [
  ROW_FORMATS[0].name,
  ...ROW_FORMATS.slice(1).map(({ name }) => name),
  PLAIN_TEXT,
];

/**
 * The format that the keys of a first row match.
 *
 * @throws QdyloraError BAD_DATA that lists the known formats.
 */
export function detectFormat(row: Row): RowFormat {
  const found = ROW_FORMATS.find((format) => hasKeys(row, format));
  if (found) return found;
  const shapes = ROW_FORMATS.map(({ required }) => required.join(' + ')).join(', or ');
  throw badData(
    row.where,
    `The keys of the row are ${keysOf(row)}. They fit none of the known shapes (${shapes})`,
    'Rename the keys, or set dataset_format if the first row is not typical.',
  );
}

/** The format of that name. @throws QdyloraError BAD_CONFIG that lists the formats. */
export function formatNamed(name: string): RowFormat {
  const found = ROW_FORMATS.find((format) => format.name === name);
  if (found) return found;
  throw new QdyloraError('BAD_CONFIG', {
    where: 'data',
    problem: `\`dataset_format\` must be one of ${DATASET_FORMATS.join(', ')} (got ${JSON.stringify(name)}).`,
    nextStep: 'Leave it out to let the first row decide.',
  });
}

/** Checks that a row has all keys of its file's format. @throws QdyloraError BAD_DATA */
export function assertKeys(row: Row, format: RowFormat): void {
  if (hasKeys(row, format)) return;
  throw badData(
    row.where,
    `A row of the format ${format.name} must have the keys ${format.required.join(', ')} (got ` +
      `${keysOf(row)})`,
    'Every row of a file has the shape of its first one: correct this line, or put it into another file.',
  );
}

const hasKeys = (row: Row, format: RowFormat): boolean =>
  format.required.every((key) => Object.hasOwn(row.value, key));

function keysOf(row: Row): string {
  const keys = Object.keys(row.value);
  return keys.length === 0
    ? 'no keys'
    : keys
        .slice(0, 12)
        .map((key) => JSON.stringify(key.slice(0, 40)))
        .join(', ');
}
