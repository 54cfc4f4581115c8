import { badData, kindOf } from '../bad-data.ts';
import { NOT_COUNTED } from '../token-batch.ts';
import type { Row, RowFormat, RowSettings } from './row-format.ts';

/** The largest id: larger ones are not rows of any embedding table. */
const MAX_ID = 2 ** 31 - 1;

interface Range {
  /** If this is negative, it is the only allowed negative number. */
  readonly from: number;
  readonly to: number;
}

const BIT: Range = { from: 0, to: 1 };

/**
 * Tokenized rows, as in transformers: `{"input_ids": […], "labels": […]}`. Needs no tokenizer.
 * labels[i] belongs to input_ids[i]; −100 is not counted, and neither is a token whose masks (`maskKeys`,
 * those of TRL) are not 1. Positions whose `attention_mask` is 0 are padding and are removed.
 */
export const tokensFormat = {
  name: 'tokens',
  required: ['input_ids'],
  optional: ['labels', 'attention_mask'],
  maskKeys,
  label(row, settings) {
    const { tokenizer } = settings;
    const largestId = tokenizer ? tokenizer.vocabularySize - 1 : MAX_ID;
    const ids = integers(row, 'input_ids', { from: 0, to: largestId });
    const perToken = (key: string, range: Range): readonly number[] | null => {
      if (row.value[key] == null) return null;
      const list = integers(row, key, range);
      assertLength(row, key, { list, ids });
      return list;
    };
    const labels = perToken('labels', { from: NOT_COUNTED, to: largestId }) ?? ids;
    const attention = perToken('attention_mask', BIT);
    const masks = maskKeys(settings).flatMap((key) => {
      const mask = perToken(key, BIT);
      return mask ? [mask] : [];
    });
    const positions = perToken('position_ids', { from: 0, to: MAX_ID });
    const isReal = (_: number, i: number): boolean => attention === null || attention[i] === 1;
    assertOneExample(row, ids.filter(isReal).length, positions?.filter(isReal) ?? null);
    if (masks.length === 0 && attention === null) return { ids, labels };
    const isCounted = (i: number): boolean => masks.every((mask) => mask[i] === 1);
    return {
      ids: ids.filter(isReal),
      labels: labels.map((label, i) => (isCounted(i) ? label : NOT_COUNTED)).filter(isReal),
    };
  },
} as const satisfies RowFormat;

/** As in TRL, `completion_mask` decides only with `completionOnlyLoss`. */
function maskKeys({ completionOnlyLoss }: RowSettings): readonly string[] {
  return completionOnlyLoss ? ['assistant_masks', 'completion_mask'] : ['assistant_masks'];
}

/**
 * Refuses a row that holds several examples, which would see each other. @throws QdyloraError BAD_DATA, also
 * for a length or positions that are not those of `tokenCount` tokens
 */
function assertOneExample(row: Row, tokenCount: number, positions: readonly number[] | null): void {
  const lengths =
    row.value.seq_lengths == null ? null : integers(row, 'seq_lengths', { from: 0, to: MAX_ID });
  if (lengths && lengths.length > 1) throw storedPack(row, `\`seq_lengths\` has ${lengths.length} lengths`);
  if (lengths && (lengths[0] ?? 0) !== tokenCount)
    throw badData(
      row.where,
      `\`seq_lengths\` must be [${tokenCount}], the number of tokens (got [${lengths.join()}])`,
      'Correct or delete this line, or leave seq_lengths out.',
    );
  if (!positions) return;
  const restart = positions.findIndex((position, i) => i > 0 && position <= positions[i - 1]);
  if (restart >= 0) throw storedPack(row, `\`position_ids\` restart at index ${restart}`);
  const wrong = positions.findIndex((position, i) => position !== i);
  if (wrong >= 0)
    throw badData(
      row.where,
      `\`position_ids\` must count from 0 to ${tokenCount - 1} (got ${positions[wrong]} at index ${wrong})`,
      'Leave position_ids out: the tokens of a row are numbered from 0.',
    );
}

const storedPack = (row: Row, sign: string): Error =>
  badData(
    row.where,
    `The row holds several examples (a stored pack): ${sign}`,
    'Split it: qdylora packs rows itself (packing: true).',
  );

function assertLength(
  row: Row,
  key: string,
  { list, ids }: { readonly list: readonly number[]; readonly ids: readonly number[] },
): void {
  if (list.length === ids.length) return;
  throw badData(
    row.where,
    `\`${key}\` must have ${ids.length} values, as many as input_ids (got ${list.length})`,
    'Correct or delete this line.',
  );
}

/** Reads a list of whole numbers of a range. */
function integers(row: Row, key: string, { from, to }: Range): readonly number[] {
  const list = row.value[key];
  if (!Array.isArray(list))
    throw badData(
      row.where,
      `${JSON.stringify(key)} must be a list of whole numbers (got ${kindOf(list)})`,
      'Correct or delete this line.',
    );
  const wrong = list.findIndex(
    (value) => !Number.isInteger(value) || value < from || value > to || (value < 0 && value !== from),
  );
  if (wrong < 0) return list as number[];
  const isOfTokens = key === 'input_ids' || key === 'labels';
  throw badData(
    row.where,
    `${JSON.stringify(key)} must be whole numbers in 0…${to}${from < 0 ? ` or ${from}` : ''} ` +
      `(got ${JSON.stringify(list[wrong])} at index ${wrong})`,
    isOfTokens ? 'Tokenize with the tokenizer of the model that is trained.' : 'Correct or delete this line.',
  );
}
