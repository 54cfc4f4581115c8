import type { FlagKind } from '../key.ts';

/**
 * The value of a flag: the same as in YAML. Text of another kind stays text, so that the check of the key
 * refuses it.
 */
export function flagValue(kind: FlagKind, text: string): unknown {
  switch (kind) {
    case 'text':
    case 'size':
      return text;
    case 'number':
      return numberOr(text);
    case 'boolean':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'boolean-or-size':
      return text === 'true' ? true : text === 'false' ? false : numberOr(text);
    case 'numbers':
      return listOf(text).map(numberOr);
    case 'texts':
      return listOf(text);
    case 'word-or-numbers':
      return /^[a-z]/i.test(text) ? text : listOf(text).map(numberOr);
    case 'pattern-or-names':
      return namesOf(text) ?? text;
    case 'word-or-sizes':
      return text.includes(',') ? listOf(text) : text;
  }
}

const listOf = (text: string): string[] => text.split(',').map((part) => part.trim());

/** Several names; null for one name, and for a regular expression with a comma: `layers.\d{1,2}`. */
function namesOf(text: string): string[] | null {
  const names = listOf(text);
  return names.length > 1 && names.every((name) => /^[\w.-]*$/.test(name)) ? names : null;
}

const numberOr = (text: string): number | string =>
  text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
