import { objectWith, type OptionRule } from '@qdylora/contract';

export const someTexts: OptionRule = { expected: 'an array of texts', isRequired: false, holds: (value) => Array.isArray(value) && value.every((entry) => typeof entry === 'string') };
export const someNumbers: OptionRule = { expected: 'numbers by name', isRequired: false, holds: (value) => objectWith().holds(value) && Object.values(value as object).every((entry) => typeof entry === 'number') };
export const someEntries: OptionRule = { expected: 'a list', isRequired: false, holds: (value) => typeof value === 'object' && value !== null && Symbol.iterator in value };
export const someFileSystem = objectWith('openSync', 'renameSync');
