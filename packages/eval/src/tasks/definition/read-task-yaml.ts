import { QdyloraError } from '@qdylora/contract';
import { ExactNumber, PythonFloat, type PythonDict, type PythonValue } from '@qdylora/data';
import { parseDocument, type Document, type ScalarTag } from 'yaml';
import { pythonTags } from './python-scalars.ts';

/** Begins a text that stands for a Python function: `!function utils.process_docs`. */
export const FUNCTION_MARK = '!function ';

/** A function by its name; it stays a text, because no Python runs here. */
const functionTag: ScalarTag = {
  tag: '!function',
  resolve: (text) => FUNCTION_MARK + text,
};

/** A file and its text. */
interface TaskFile {
  readonly text: string;
  readonly where: string;
}

/** Reads an included file by its name and by the file that includes it. */
type ReadInclude = (name: string, includedBy: string) => TaskFile;

/**
 * Reads the YAML of a task as Python's `yaml` does: YAML 1.1 with PyYAML's scalars, floats and whole numbers
 * apart, the last of equal keys, `include` merged.
 *
 * @param where the file, for errors
 * @throws QdyloraError BAD_CONFIG for what is no YAML or no mapping, and for files that include each other
 */
export const readTaskYaml = (
  text: string,
  where: string,
  readInclude: ReadInclude = refuseInclude,
): PythonDict => readMerged({ text, where }, [where], readInclude);

/** @param chain the files from the task to this one, each included by the one before */
function readMerged(
  { text, where }: TaskFile,
  chain: readonly string[],
  readInclude: ReadInclude,
): PythonDict {
  const document = parsed(text);
  const [error] = document.errors;
  if (error) throw badYaml(where, error.message);
  const entries = valueOf(document.toJS({ mapAsMap: true }));
  if (!(entries instanceof Map)) throw badYaml(where, 'it must be a mapping of keys to values');
  const own = new Map(entries as PythonDict);
  const includes = own.get('include');
  own.delete('include');
  if (includes === undefined) return own;
  const included = (Array.isArray(includes) ? (includes as PythonValue[]) : [includes]).flatMap((name) => {
    const file = readInclude(String(name), where);
    if (chain.includes(file.where)) throw badYaml(where, `it includes ${file.where}, which includes it`);
    return [...readMerged(file, [...chain, file.where], readInclude)];
  });
  return new Map([...included.filter(([key]) => key !== 'task_list'), ...own]);
}

/** Deeper than any mapping. White space at the beginning of a line is no part of a text. */
const INDENTATION = ' '.repeat(100);

/**
 * `yaml` ends a quoted text or a list in brackets at a line that is indented less than its mapping; PyYAML
 * does not. So each such line is indented, which does not change the value.
 */
function parsed(text: string): Document.Parsed {
  const first = parsedStrictly(text);
  let document = first;
  for (let indented = text; document.errors.length > 0; document = parsedStrictly(indented)) {
    const lines = shallowLines(indented, document.errors);
    if (lines === null || indented.startsWith(INDENTATION, lines.from)) return first;
    indented =
      indented.slice(0, lines.from) +
      INDENTATION +
      indented.slice(lines.from, lines.to).replaceAll('\n', `\n${INDENTATION}`) +
      indented.slice(lines.to);
  }
  return document;
}

/** From inside a quoted text to its end. */
const QUOTED_REST = { '"': /(?:[^"\\]|\\[^])*"/y, "'": /(?:[^']|'')*'/y } as const;

/** The first lines that must be indented more, as far as the parser's errors tell; null if there are none. */
function shallowLines(
  text: string,
  errors: Document.Parsed['errors'],
): { readonly from: number; readonly to: number } | null {
  for (const { message, pos } of errors) {
    const quote = /^Missing closing (["'])/.exec(message)?.[1] as keyof typeof QUOTED_REST | undefined;
    if (quote) {
      const rest = QUOTED_REST[quote];
      rest.lastIndex = text.indexOf('\n', pos[0]) + 1;
      const from = rest.lastIndex;
      return from > 0 && rest.test(text) ? { from, to: rest.lastIndex } : null;
    }
    if (message.startsWith('Flow ') && message.includes('must be sufficiently indented'))
      return { from: text.lastIndexOf('\n', pos[0] - 1) + 1, to: pos[0] };
  }
  return null;
}

const parsedStrictly = (text: string): Document.Parsed =>
  parseDocument(text, {
    version: '1.1',
    intAsBigInt: true,
    uniqueKeys: false,
    customTags: (tags) => [...pythonTags(tags), functionTag],
  });

const refuseInclude: ReadInclude = (name, includedBy) => {
  throw badYaml(includedBy, `it includes ${name}, which cannot be found`);
};

/** Whole numbers are bigints here, and floats numbers: the reverse of what a template has. */
function valueOf(value: unknown): PythonValue {
  if (typeof value === 'bigint') return ExactNumber.of(String(value));
  if (typeof value === 'number') return new PythonFloat(value);
  if (Array.isArray(value)) return value.map(valueOf);
  if (value instanceof Map)
    return new Map([...(value as Map<unknown, unknown>)].map(([key, part]) => [String(key), valueOf(part)]));
  return value as PythonValue;
}

const badYaml = (where: string, problem: string): QdyloraError =>
  new QdyloraError('BAD_CONFIG', {
    where,
    problem: `The file cannot be read as a task: ${problem}`,
    nextStep: 'Write it as for lm-evaluation-harness.',
  });
