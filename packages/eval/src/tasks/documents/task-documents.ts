import { QdyloraError } from '@qdylora/contract';
import type { RowValues } from '@qdylora/data';
import type { TaskDefinition } from '../definition/task-definition.ts';
import { rowsOfColumns } from './rows-of-columns.ts';

/** Reads a split of a data set by its name. */
export type ReadSplit = (split: string) => Promise<readonly RowValues[]>;

/** The documents of a task. */
export interface TaskDocuments {
  /** To be judged. */
  readonly judged: readonly RowValues[];
  /** Examples to draw from; [] if none are needed. The place of fixed ones is the task and their number. */
  readonly examples: readonly RowValues[];
  /** Names of the fields of the judged documents. */
  readonly fields: ReadonlySet<string>;
}

/**
 * The documents of a task: the test split, else the validation split; and for examples `fewshot_split`, else
 * `samples`, else the training, validation or test split.
 *
 * @param needsExamples false: the split of examples is not read
 * @throws QdyloraError whatever `readSplit` throws; BAD_DATA without documents
 */
export async function readDocuments(
  task: TaskDefinition,
  readSplit: ReadSplit,
  needsExamples: boolean,
): Promise<TaskDocuments> {
  const { splits, fewshot, functions } = task;
  const processed = async (split: string): Promise<readonly RowValues[]> => {
    const rows = rowsOfColumns(await readSplit(split));
    return functions.processRows ? functions.processRows(rows) : rows;
  };
  const judgedSplit = (splits.test ?? splits.validation)!;
  const judged = await processed(judgedSplit);
  if (judged.length === 0)
    throw new QdyloraError('BAD_DATA', {
      where: task.name,
      problem: `The split ${judgedSplit} has no rows`,
      nextStep: 'Put rows into it.',
    });
  const readExamples = async (): Promise<readonly RowValues[]> => {
    if (fewshot.split !== null) return fewshot.split === judgedSplit ? judged : processed(fewshot.split);
    if (fewshot.samples !== null)
      return fewshot.samples.map((value, i) => ({ value, where: `${task.name}, sample ${i + 1}` }));
    const split = (splits.training ?? splits.validation ?? splits.test)!;
    return split === judgedSplit ? judged : processed(split);
  };
  return {
    judged,
    examples: needsExamples ? await readExamples() : [],
    fields: new Set(judged[0].value.keys()),
  };
}
