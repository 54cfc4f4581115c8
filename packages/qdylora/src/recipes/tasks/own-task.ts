import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { defineTask, readTaskYaml, type TaskDefinition } from '@qdylora/eval';

/** True for the name of a task that is a YAML file. */
export const isTaskFile = (name: string): boolean => /\.ya?ml$/.test(name);

/**
 * Reads a task of one's own: the YAML of lm-evaluation-harness. `include` is relative to the file
 * that has it.
 *
 * @throws QdyloraError MISSING_FILE, BAD_CONFIG, UNSUPPORTED
 */
export function readOwnTask(file: string): TaskDefinition {
  const include = (name: string, includedBy: string): { text: string; where: string } => {
    const path = resolve(dirname(includedBy), name);
    return { text: readText(path), where: path };
  };
  return defineTask(readTaskYaml(readText(file), file, include), file);
}

function readText(file: string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8');
  throw new QdyloraError('MISSING_FILE', {
    where: 'tasks',
    problem: `There is no file ${file}`,
    nextStep: 'Check the path of the task.',
  });
}
