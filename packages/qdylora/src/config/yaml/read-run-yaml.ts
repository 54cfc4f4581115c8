import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { valuesOfYaml, type ExplicitValues } from '../explicit-values.ts';

/** A longer file is not a run file. */
const MAX_YAML_BYTES = 2 ** 20;

/** Files of rows: a shell passes them as the run file where a pattern is not quoted. */
export const ROWS = /\.(jsonl|parquet|txt)$/i;

/**
 * Reads the keys of a run file.
 *
 * @throws QdyloraError MISSING_FILE; BAD_CONFIG with the line where it is not YAML of the form `key: value`
 */
export async function readRunYaml(path: string): Promise<ExplicitValues> {
  assertRunFile(path);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new QdyloraError('MISSING_FILE', {
      where: path,
      problem: `The run file cannot be read: ${(cause as Error).message}`,
      nextStep: 'Check the path.',
      cause,
    });
  }
  return await parseRunYaml(text, path);
}

/** @throws QdyloraError BAD_CONFIG for the folder of a run and for a file of rows */
function assertRunFile(path: string): void {
  const refusal = (problem: string, nextStep: string): QdyloraError =>
    new QdyloraError('BAD_CONFIG', { where: path, problem, nextStep, details: { path } });
  if (ROWS.test(path))
    throw refusal(
      'This is a file of rows, not a run file',
      'Quote patterns, so that the shell does not expand them: --dataset "data/*.jsonl". Separate several ' +
        'names by commas.',
    );
  if (!existsSync(path) || !statSync(path).isDirectory()) return;
  const file = join(path, 'run.yaml');
  throw refusal(
    'This is a folder, not a run file',
    existsSync(file)
      ? `It is the folder of a run: name ${file}, with --resume-from-checkpoint auto to continue it.`
      : 'Name the file.',
  );
}

const FORM = 'A run file holds lines of the form `learning_rate: 2e-4`, with a space after the colon.';

const badYaml = (path: string, where: string, problem: string, nextStep = FORM): QdyloraError =>
  new QdyloraError('BAD_CONFIG', { where, problem, nextStep, details: { path } });

/** Parses the text of a run file. `path` is for messages. */
export async function parseRunYaml(text: string, path: string): Promise<ExplicitValues> {
  if (text.length > MAX_YAML_BYTES)
    throw badYaml(path, path, `A run file has at most ${MAX_YAML_BYTES} bytes (got ${text.length})`);
  if (text.includes('\0'))
    throw badYaml(
      path,
      path,
      'The file is not UTF-8: it contains zero bytes, as other encodings do',
      'Save it as UTF-8.',
    );
  // loaded here because it takes 16 ms, which other commands need not wait for
  const { isMap, isNode, isScalar, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: 'core' });
  const lineAt = (offset: number): string => `${path}:${lines.linePos(offset).line}`;
  const [error] = document.errors;
  if (error?.code === 'DUPLICATE_KEY') {
    const [start] = error.pos;
    const key = /^[^:\s]*/.exec(text.slice(start))![0];
    throw badYaml(path, lineAt(start), `The key \`${key}\` is set twice`, 'Remove one of the two lines.');
  }
  if (error) throw badYaml(path, lineAt(error.pos[0]), `This is not YAML: ${error.message}`);
  if (document.contents === null) return new Map();
  if (!isMap(document.contents)) throw badYaml(path, `${path}:1`, 'The file does not hold keys and values');
  const entries = document.contents.items.map(({ key, value }): [string, unknown, string] => {
    const where = isScalar(key) && key.range ? lineAt(key.range[0]) : `${path}:1`;
    const name = String(isScalar(key) ? key.value : key);
    try {
      return [name, isNode(value) ? (value.toJS(document) as unknown) : null, where];
    } catch (cause) {
      // an unknown alias, or too many of them
      const { message } = cause as Error;
      throw badYaml(
        path,
        where,
        `The value of \`${name}\` cannot be read: ${message}`,
        'Write the value out.',
      );
    }
  });
  return valuesOfYaml(entries);
}
