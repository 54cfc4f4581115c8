/** The line that ends a YAML document. */
const DOCUMENT_END = /^\.\.\.(?=\s|$)/m;

/**
 * Sets keys of a run file and leaves every other byte as it is: comments, order, spelling of other values.
 * A key that the file lacks is added at its end.
 *
 * @param values texts of the new values by key, in YAML's spelling
 * @example
 * await setYamlValues('seed: 1 # any\n', { seed: '2' }); // 'seed: 2 # any\n'
 */
export async function setYamlValues(text: string, values: Readonly<Record<string, string>>): Promise<string> {
  const { isMap, isNode, isScalar, parseDocument } = await import('yaml');
  let changed = text;
  for (const [key, value] of Object.entries(values)) {
    const { contents } = parseDocument(changed, { schema: 'core' });
    const pairs = isMap(contents) ? contents.items : [];
    const pair = pairs.find((one) => isScalar(one.key) && one.key.value === key);
    const isFlow = isMap(contents) && contents.flow === true;
    if (pair && isNode(pair.value) && pair.value.range) {
      const [start, end] = pair.value.range;
      const space = start === end && changed[start - 1] === ':' ? ' ' : '';
      const gap = changed[end] === '#' ? ' ' : ''; // a comment after no value
      changed = `${changed.slice(0, start)}${space}${value}${gap}${changed.slice(end)}`;
    } else if (isFlow && contents.range) {
      const close = contents.range[1] - 1;
      const comma = pairs.length > 0 ? ', ' : '';
      // quoted, so that JSON stays JSON
      changed = `${changed.slice(0, close)}${comma}"${key}": ${value}${changed.slice(close)}`;
    } else {
      const end = DOCUMENT_END.exec(changed)?.index ?? changed.length;
      const before = changed.slice(0, end);
      const lineEnd = before === '' || before.endsWith('\n') ? '' : '\n';
      changed = `${before}${lineEnd}${key}: ${value}\n${changed.slice(end)}`;
    }
  }
  return changed;
}
