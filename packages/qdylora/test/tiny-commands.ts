import { temporaryPlace, writeTinyModel, writeTinyRows } from './tiny-model.ts';

/** A tiny model with a tokenizer, rows, and command lines over them. */
export function tinyCommands() {
  const folder = temporaryPlace();
  const model = writeTinyModel(folder.in('model'), { tokenizer: true });
  const rows = writeTinyRows(folder.in('rows.jsonl'));
  const host = ['--model', model, '--backend', 'host', '--quantization', 'none'];
  const data = ['--dataset', rows, '--val-set-size', '4'];
  const steps = ['--max-steps', '3', '--micro-batch-size', '2', '--learning-rate', '2e-2'];
  const train = ['train', ...host, ...data, '--ranks', '1,2,4', ...steps];
  return { folder, model, rows, host, train };
}

/** One pattern from several, one after another. */
export const joined = (...patterns: readonly RegExp[]): RegExp =>
  new RegExp(patterns.map(({ source }) => source).join(''));
