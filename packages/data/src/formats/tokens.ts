import { badData, kindOf } from '../bad-data.ts';
import type { LabelledTokens } from '../labels/mask-prompt.ts';
import { NOT_COUNTED } from '../token-batch.ts';
import type { Row, RowFormat } from './row-format.ts';

/** The largest id: larger ones are not rows of any embedding table. */
const MAX_ID = 2 ** 31 - 1;

/**
 * Tokenized rows, as in transformers: `{"input_ids": […], "labels": […]}`. Needs no tokenizer.
 * labels[i] belongs to input_ids[i]; −100 is not counted; without labels every token counts. Positions whose
 * `attention_mask` is 0 are padding and are removed.
 */
export const tokensFormat: RowFormat = {
  name: 'tokens',
  required: ['input_ids'],
  optional: ['labels', 'attention_mask'],
  hasPrompts: false,
  label(row, { tokenizer }) {
    const top = tokenizer ? tokenizer.vocabularySize - 1 : MAX_ID;
    const ids = integers(row, 'input_ids', 0, top);
    const labels = row.value.labels == null ? ids : integers(row, 'labels', NOT_COUNTED, top);
    const mask = row.value.attention_mask == null ? null : integers(row, 'attention_mask', 0, 1);
    for (const [key, list] of [
      ['labels', labels],
      ['attention_mask', mask],
    ] as const) {
      if (list && list.length !== ids.length)
        throw badData(
          row.where,
          `\`${key}\` must have ${ids.length} values, as many as input_ids (got ${list.length})`,
          'Correct or delete this line.',
        );
    }
    return mask ? unpadded(ids, labels, mask) : { ids, labels };
  },
};

function unpadded(
  ids: readonly number[],
  labels: readonly number[],
  mask: readonly number[],
): LabelledTokens {
  const isReal = (_: number, i: number): boolean => mask[i] === 1;
  return { ids: ids.filter(isReal), labels: labels.filter(isReal) };
}

/**
 * Reads a list of whole numbers from `from` to `to`. If `from` is negative, it is the only allowed negative
 * number.
 */
function integers(row: Row, key: string, from: number, to: number): readonly number[] {
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
  throw badData(
    row.where,
    `${JSON.stringify(key)} must be whole numbers in 0…${to}${from < 0 ? ` or ${from}` : ''} ` +
      `(got ${JSON.stringify(list[wrong])} at index ${wrong})`,
    'Tokenize with the tokenizer of the model that is trained.',
  );
}
