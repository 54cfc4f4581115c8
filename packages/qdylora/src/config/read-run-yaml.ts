import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { QdyloraError } from '@qdylora/contract';
import { givenByYaml, type GivenValues } from './given-values.ts';

/** A run file is a page of keys; anything longer is another file. */
const MAX_YAML_BYTES = 2 ** 20;

/** What a shell puts in a run file's place where a pattern of rows is not quoted. */
export const ROWS = /\.(jsonl|parquet|txt)$/i;

/**
 * Reads a run file. @throws QdyloraError MISSING_FILE; BAD_CONFIG with the line where it is not YAML of the
 * form `key: value`.
 */
export async function readRunYaml(path: string): Promise<GivenValues> {
  if (ROWS.test(path))
    throw new QdyloraError('BAD_CONFIG', {
      where: path,
      problem: 'expected one run file of keys, got a file of rows',
      nextStep:
        'Quote patterns, so that the shell leaves them alone: --dataset "data/*.jsonl"; several names go ' +
        'with commas.',
      details: { path },
    });
  if (existsSync(path) && statSync(path).isDirectory())
    throw new QdyloraError('BAD_CONFIG', {
      where: path,
      problem: 'expected a run file of keys, got a folder',
      nextStep: existsSync(join(path, 'run.yaml'))
        ? `It is the folder of a run: name ${join(path, 'run.yaml')}, with --resume-from-checkpoint auto ` +
          `to go on with it.`
        : 'Name the file.',
      details: { path },
    });
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new QdyloraError('MISSING_FILE', {
      where: path,
      problem: `expected a YAML file, got none that can be read: ${(cause as Error).message}`,
      nextStep: 'Check the path.',
      cause,
    });
  }
  return await parseRunYaml(text, path);
}

/** The same from text; `path` is for messages. */
export async function parseRunYaml(text: string, path: string): Promise<GivenValues> {
  const bad = (
    where: string,
    problem: string,
    nextStep = 'A run file holds lines of the form `learning_rate: 2e-4`, with a space behind the colon.',
  ): QdyloraError => new QdyloraError('BAD_CONFIG', { where, problem, nextStep, details: { path } });
  if (text.length > MAX_YAML_BYTES)
    throw bad(path, `expected at most ${MAX_YAML_BYTES} bytes for a run file, got ${text.length}`);
  if (text.includes('\0'))
    throw bad(
      path,
      'expected text in UTF-8 for a run file, got zero bytes among it, as other encodings have',
      'Save it as UTF-8.',
    );
  // 16 ms, and other verbs do without
  const { isMap, isNode, isScalar, LineCounter, parseDocument } = await import('yaml');
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: 'core' });
  const [error] = document.errors;
  if (error)
    throw bad(
      `${path}:${lines.linePos(error.pos[0]).line}`,
      `expected YAML, got something else: ${error.message}`,
    );
  if (document.contents === null) return new Map();
  if (!isMap(document.contents)) throw bad(`${path}:1`, 'expected keys with values, got something else');
  const { items } = document.contents;
  return givenByYaml(
    items.map(({ key, value }) => {
      const line = isScalar(key) && key.range ? lines.linePos(key.range[0]).line : 1;
      const where = `${path}:${line}`;
      try {
        return [
          String(isScalar(key) ? key.value : key),
          isNode(value) ? (value.toJS(document) as unknown) : null,
          where,
        ];
      } catch (cause) {
        // an alias of nothing, or too many of them
        throw bad(
          where,
          `expected a value, got one that YAML cannot read: ${(cause as Error).message}`,
          'Write the value out.',
        );
      }
    }),
  );
}
