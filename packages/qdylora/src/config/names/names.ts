import { snakeCase } from '@qdylora/contract';

/** `learningRate` → `learning-rate`, the name of the flag without its dashes. */
export const kebabCase = (name: string): string => snakeCase(name).replaceAll('_', '-');

/** `learning_rate` or `learning-rate` → `learningRate`, the name in TypeScript. */
export const camelCase = (name: string): string =>
  name.replace(/[_-]([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** A name as other trainers spell theirs: `--no-trainOnInputs` or `train-on-inputs` → `train_on_inputs`. */
export const foreignSpelling = (written: string): string =>
  snakeCase(written.replace(/^--(no-)?/, '')).replaceAll('-', '_');
