import { objectWith, optionRule } from '@qdylora/contract';

export const listOfTexts = optionRule(
  'an array of texts',
  (value) => Array.isArray(value) && value.every((entry) => typeof entry === 'string'),
);
export const someNumbers = optionRule(
  'numbers by name',
  (value) =>
    objectWith().holds(value) && Object.values(value as object).every((entry) => typeof entry === 'number'),
);
export const anyIterable = optionRule(
  'an iterable',
  (value) => typeof value === 'object' && value !== null && Symbol.iterator in value,
);
export const someFileSystem = objectWith('openSync', 'renameSync');
