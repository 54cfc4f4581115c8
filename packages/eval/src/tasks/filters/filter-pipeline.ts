import { QdyloraError } from '@qdylora/contract';
import type { PythonValue } from '@qdylora/data';

/** A step of a pipeline: from the responses to one request to a list, or to one of them. */
export type Filter = (responses: readonly PythonValue[]) => PythonValue;

/** Filters in their order; the name is part of the metrics' names: `exact_match,strict-match`. */
export interface FilterPipeline {
  readonly name: string;
  readonly filters: readonly Filter[];
}

/** The pipeline of tasks that name none. */
export const FIRST_RESPONSE: FilterPipeline = { name: 'none', filters: [([first]) => first] };

/** Applies the filters of a pipeline to the responses to one request. */
export function applyPipeline(
  { name, filters }: FilterPipeline,
  responses: readonly PythonValue[],
): PythonValue {
  let filtered: PythonValue = responses;
  for (const filter of filters) {
    if (!Array.isArray(filtered))
      throw new QdyloraError('BAD_CONFIG', {
        where: `filter ${name}`,
        problem: 'A filter follows take_first, which leaves one response and no list',
        nextStep: 'Put take_first at the end.',
      });
    filtered = filter(filtered as readonly PythonValue[]);
  }
  return filtered;
}
