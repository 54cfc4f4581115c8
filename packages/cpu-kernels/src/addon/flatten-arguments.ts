import { hostData } from '@qdylora/contract';
import type { NativeArgument, NativeList, NativeRecord, NativeValue, PlainValue } from './addon-functions.ts';

/**
 * The value that C++ receives: the elements of an array view, anything else unchanged. C++ refuses null,
 * which JavaScript may pass as an attribute.
 */
const plain = (value: NativeValue): PlainValue =>
  value && typeof value === 'object' && 'storage' in value ? hostData(value) : value;

/** True for a list of records. */
export const isList = (argument: NativeArgument): argument is readonly NativeRecord[] =>
  Array.isArray(argument);

/**
 * The values that a C++ function takes. A list becomes the number of its records, then the fields of as many
 * records as C++ reserves, in its order. C++ refuses a list with more records.
 *
 * @param lists the function's own description of its lists
 * @throws QdyloraError BAD_ARGUMENT for an array view in the memory of a device
 */
export function flattenArguments(
  parameters: readonly NativeArgument[],
  lists: readonly NativeList[],
): PlainValue[] {
  const values: PlainValue[] = [];
  let nextList = 0;
  for (let i = 0; i < parameters.length; i++) {
    const parameter = parameters[i];
    if (!isList(parameter)) {
      values.push(plain(parameter));
      continue;
    }
    const { most, fields } = lists[nextList++];
    values.push(parameter.length);
    for (let k = 0; k < most; k++) {
      const record = parameter[k];
      for (const { name, empty } of fields) values.push(record ? plain(record[name]) : empty);
    }
  }
  return values;
}
