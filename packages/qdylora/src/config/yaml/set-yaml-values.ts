import { isDeepStrictEqual } from 'node:util';
import { QdyloraError } from '@qdylora/contract';

/** The line that ends a YAML document. */
const DOCUMENT_END = /^\.\.\.(?=\s|$)/m;

/**
 * Sets keys of a run file and leaves every other byte as it is: comments, order, spelling of other values.
 * A key that the file lacks is added at its end.
 *
 * @param values texts of the new values by key, in YAML's spelling
 * @throws QdyloraError WRITE_FAILED if the file is spelled so that the change would alter other keys
 * @example
 * await setYamlValues('seed: 1 # any\n', { seed: '2' }); // 'seed: 2 # any\n'
 */
export async function setYamlValues(text: string, values: Readonly<Record<string, string>>): Promise<string> {
  let changed = text;
  for (const [key, value] of Object.entries(values)) changed = await withValue(changed, key, value);
  return changed;
}

async function withValue(text: string, key: string, value: string): Promise<string> {
  const { isMap, isNode, isScalar, parseDocument } = await import('yaml');
  const parsed = (yaml: string) => parseDocument(yaml, { schema: 'core' });
  const document = parsed(text);
  const { contents } = document;
  const pairs = isMap(contents) ? contents.items : [];
  const pair = pairs.find((one) => isScalar(one.key) && one.key.value === key);
  let changed: string;
  if (pair && isNode(pair.value) && pair.value.range) {
    const [start, end] = pair.value.range;
    const space = start === end && text[start - 1] === ':' ? ' ' : '';
    const gap = text[end] === '#' ? ' ' : ''; // a comment after no value
    changed = `${text.slice(0, start)}${space}${value}${gap}${text.slice(end)}`;
  } else if (isMap(contents) && contents.flow && contents.range) {
    const close = contents.range[1] - 1;
    const isOpen = pairs.length > 0 && !/,\s*$/.test(text.slice(0, close));
    // quoted, so that JSON stays JSON
    changed = `${text.slice(0, close)}${isOpen ? ', ' : ''}"${key}": ${value}${text.slice(close)}`;
  } else {
    const end = DOCUMENT_END.exec(text)?.index ?? text.length;
    const before = text.slice(0, end);
    const lineEnd = before === '' || before.endsWith('\n') ? '' : '\n';
    const [first] = pairs;
    const indent = isNode(first?.key) && first.key.range ? indentAt(text, first.key.range[0]) : '';
    changed = `${before}${lineEnd}${indent}${key}: ${value}\n${text.slice(end)}`;
  }
  const result = parsed(changed);
  const wanted = { ...(document.toJS() as object | null), [key]: parsed(value).toJS() as unknown };
  if (result.errors.length === 0 && isDeepStrictEqual(result.toJS(), wanted)) return changed;
  throw new QdyloraError('WRITE_FAILED', {
    where: key,
    problem: `\`${key}\` cannot be set without changing other values of the file, by how it is spelled`,
    nextStep: `Write it yourself: ${key}: ${value}`,
  });
}

/** The spaces before a key that begins its line; none for one that does not. */
function indentAt(text: string, start: number): string {
  const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  return /^ *$/.test(before) ? before : '';
}
