import type { PythonDict, PythonValue, RowValues } from '@qdylora/data';
import type { FilterPipeline } from '../filters/filter-pipeline.ts';
import type { MetricDefinition } from '../metrics/metric-definition.ts';
import type { OutputType } from './output-type.ts';

/** A field of a document by its name, a template, or a fixed value. */
export type Field = PythonValue;

/** The splits of a data set, by their names there. */
export interface Splits {
  readonly training: string | null;
  readonly validation: string | null;
  readonly test: string | null;
}

/** How the examples of a prompt are chosen and written. */
export interface FewshotDefinition {
  /** `default`: drawn at random for each document; `first_n`: the first ones. */
  readonly sampler: 'default' | 'first_n';
  readonly split: string | null;
  /** Fixed examples in place of a split. */
  readonly samples: readonly PythonDict[] | null;
  readonly text: Field;
  readonly target: Field;
  readonly choice: Field | undefined;
  readonly genPrefix: string | null;
  readonly targetDelimiter: string;
  readonly fewshotDelimiter: string;
}

/** Parts of a task that the harness computes in Python. */
export interface TaskFunctions {
  /** `process_docs` */
  readonly processRows?: (rows: readonly RowValues[]) => readonly RowValues[];
  /** `doc_to_target` */
  readonly target?: (document: PythonDict) => PythonValue;
  /** `process_results` of a rolling likelihood: words and bytes of the document. */
  readonly lengths?: (document: PythonDict) => { readonly words: number; readonly bytes: number };
  /** A choice is the first token of its text, encoded apart from the prompt, which begins with BOS. */
  readonly choicesAreTokens?: boolean;
  /** The last filter: the judged text from the document and a response. */
  readonly prediction?: (document: PythonDict, response: string) => string;
}

/** A task of lm-evaluation-harness: how documents become requests, and responses become scores. */
export interface TaskDefinition {
  readonly name: string;
  /** The name in tables. */
  readonly alias: string;
  readonly datasetPath: string | null;
  readonly datasetName: string | null;
  /** Keys of `dataset_kwargs` that change which rows Python's `datasets` reads. No key is supported. */
  readonly datasetKeys: readonly string[];
  readonly splits: Splits;
  readonly outputType: OutputType;
  readonly text: Field;
  readonly target: Field;
  /** Undefined: the task has no choices. */
  readonly choice: Field | undefined;
  /** Precedes all prompts; a template over the document. */
  readonly description: string;
  readonly targetDelimiter: string;
  readonly fewshotDelimiter: string;
  /** The beginning of each answer: a field of the document or a template. */
  readonly genPrefix: string | null;
  readonly fewshot: FewshotDefinition;
  /** Default number of examples; null: 0. A task with 0 ignores the caller's number. */
  readonly numFewshot: number | null;
  /** `generation_kwargs`, with the defaults of the harness. */
  readonly generation: PythonDict | null;
  readonly repeats: number;
  readonly filters: readonly FilterPipeline[];
  readonly metrics: readonly MetricDefinition[];
  readonly functions: TaskFunctions;
  readonly version: PythonValue;
  /** The entries of the YAML file, for the results. */
  readonly yaml: PythonDict;
}

/** Tasks that are judged together. */
export interface GroupDefinition {
  readonly name: string;
  readonly alias: string;
  /** Names of tasks and groups. */
  readonly members: readonly string[];
  /** Metrics of the group: means over its tasks. */
  readonly metrics: readonly GroupMetric[];
  readonly version: PythonValue;
}

/** A metric of a group: the mean of a metric over the group's tasks. */
export interface GroupMetric {
  readonly metric: string;
  /** Weighted by the number of documents of each task (micro); else each task counts the same (macro). */
  readonly isWeighted: boolean;
  /** Null: all filters that the tasks have. */
  readonly filters: readonly string[] | null;
}
