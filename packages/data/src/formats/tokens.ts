import { badData, kindOf } from '../bad-data.ts';
import type { LabelledTokens } from '../mask-prompt.ts';
import { NOT_COUNTED } from '../token-batch.ts';
import type { Row, RowFormat } from './row-format.ts';

/** Ids beyond this are no rows of any embedding table. */
const MAX_ID = 2 ** 31 - 1;

/**
 * Rows that were tokenized elsewhere: `{"input_ids": […], "labels": […]}`, as transformers has them (labels
 * lie on the ids; −100 is not counted; without labels every token is counted). Positions whose
 * `attention_mask` is 0 are padding and are left out. Needs no tokenizer.
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

/** A key's list of whole numbers in `from…to`; below zero only `from` itself is allowed. */
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
