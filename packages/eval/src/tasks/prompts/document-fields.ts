import { QdyloraError } from '@qdylora/contract';
import {
  createRowTemplate,
  pythonKindOf,
  itemsOf,
  type PythonDict,
  type PythonValue,
  type RowTemplate,
  type RowValues,
} from '@qdylora/data';
import type { Field, TaskDefinition } from '../definition/task-definition.ts';
import { functionName } from '../definition/yaml-entries.ts';
import { NotALiteral, parseLiteral } from '../python/parse-literal.ts';
import { strOf } from '../python/text-rules.ts';

/** Reads the fields of documents: `doc_to_text` and the like of the harness. */
export interface DocumentFields {
  text(row: RowValues, field?: Field): string;
  target(row: RowValues, field?: Field): PythonValue;
  choices(row: RowValues, field?: Field): readonly string[];
  /**
   * A field by its name, or a template. Empty for null, for None, and for a column that only the judged
   * documents have.
   */
  resolved(row: RowValues, field: string | null, name: string): string;
}

/**
 * Makes the readers of a task's fields.
 *
 * A field is the name of a column, a template or a fixed value. A target that is written in digits is a
 * number where the task has choices; one that is written as a Python list is a list.
 *
 * @param columns names of the fields of the judged documents
 */
export function documentFields(task: TaskDefinition, columns: ReadonlySet<string>): DocumentFields {
  const templates = new Map<string, RowTemplate>();
  const rendered = (row: RowValues, source: string, name: string): string => {
    const key = `${name} ${source}`;
    const template = templates.get(key) ?? createRowTemplate(source, `${task.name}, ${name}`);
    templates.set(key, template);
    return template.render(row.value, row.where);
  };
  const hasChoices = task.choice !== undefined;

  function text(row: RowValues, field: Field = task.text): string {
    const isColumn = typeof field === 'string' && columns.has(field);
    const isTemplate = typeof field === 'string' && !isColumn;
    let value: PythonValue = field;
    if (isColumn) value = column(task, row, field);
    if (isTemplate) value = rendered(row, field, 'doc_to_text');
    // the harness takes digits for an index of contexts
    const isIndex = isTemplate && hasChoices && isDigits(value as string);
    if (typeof value === 'string' && !isIndex) return value;
    const got = isIndex ? 'digits, an index of contexts, which is not supported' : kindOf(value);
    throw badField({ task, row }, 'doc_to_text', `must be a text (got ${got})`);
  }

  function target(row: RowValues, field: Field = task.target): PythonValue {
    if (typeof field !== 'string') return field;
    if (functionName(field) !== null) return task.functions.target!(row.value);
    if (columns.has(field)) return column(task, row, field);
    const written = rendered(row, field, 'doc_to_target');
    if (hasChoices && isDigits(written)) return Number(written);
    const isListed = written.length >= 2 && written.startsWith('[') && written.endsWith(']');
    return isListed ? (literalOf(written) ?? written) : written;
  }

  function choices(row: RowValues, field: Field = task.choice): readonly string[] {
    const value =
      typeof field !== 'string'
        ? field instanceof Map
          ? [...(field as PythonDict).values()]
          : field
        : columns.has(field)
          ? column(task, row, field)
          : literalOf(rendered(row, field, 'doc_to_choice'));
    const list = itemsOf(value);
    if (list !== null && list.length > 0 && list.every((item) => typeof item === 'string'))
      return list as readonly string[];
    throw badField({ task, row }, 'doc_to_choice', 'must be a list of texts');
  }

  return {
    text,
    target,
    choices,
    resolved(row, field, name) {
      if (field === null || field === '') return '';
      const isTemplate = !row.value.has(field) && !columns.has(field);
      return isTemplate ? rendered(row, field, name) : strOf(row.value.get(field) ?? '');
    },
  };
}

const kindOf = (value: PythonValue): string => (value === null ? 'None' : pythonKindOf(value));

const isDigits = (text: string): boolean => /^[0-9]+$/.test(text);

/** The value of a Python literal; undefined for another text. */
function literalOf(text: string): PythonValue {
  try {
    return parseLiteral(text);
  } catch (error) {
    if (error instanceof NotALiteral) return undefined;
    throw error;
  }
}

/**
 * A field of a row; a row without it has None. @throws QdyloraError BAD_DATA with the row's place where no
 * row of its split has the field
 */
export function column(task: Pick<TaskDefinition, 'name'>, row: RowValues, name: string): PythonValue {
  const value = row.value.get(name);
  if (value !== undefined) return value;
  throw new QdyloraError('BAD_DATA', {
    where: row.where,
    problem: `The row has no field ${JSON.stringify(name)}, which the task ${task.name} reads`,
    nextStep: `Its fields are: ${[...row.value.keys()].join(', ')}.`,
  });
}

/** A field that must be a text. @throws QdyloraError BAD_DATA */
export function textColumn({ task, row }: TaskRow, name: string): string {
  const value = column(task, row, name);
  if (typeof value === 'string') return value;
  throw badField({ task, row }, name, 'must be a text');
}

/** A row that a task reads. */
export interface TaskRow {
  readonly task: Pick<TaskDefinition, 'name'>;
  readonly row: RowValues;
}

export function badField({ task, row }: TaskRow, field: string, problem: string): QdyloraError {
  return new QdyloraError('BAD_DATA', {
    where: row.where,
    problem: `${field} of the task ${task.name} ${problem}`,
    nextStep: 'Correct the row or the task.',
  });
}

/** True for what Python calls an `int`; booleans are integers too. */
export const isInteger = (value: PythonValue): boolean =>
  pythonKindOf(value) === 'integer' || pythonKindOf(value) === 'boolean';
