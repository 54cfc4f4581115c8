import { nearestName } from '@qdylora/contract';
import { pythonRegex, stripped, type PythonValue } from '@qdylora/data';
import { functionName, type YamlEntries } from '../definition/yaml-entries.ts';
import { FIRST_RESPONSE, type Filter, type FilterPipeline } from './filter-pipeline.ts';
import { regexFilter } from './regex-filter.ts';

/** Changes each text of a list; what is no text stays. */
const eachText =
  (change: (text: string) => PythonValue): Filter =>
  (responses) =>
    responses.map((response) => (typeof response === 'string' ? change(response) : response));

/** Makes a filter of its options, for a task that asks each request `repeats` times. */
type CreateFilter = (options: YamlEntries, repeats: number) => Filter;

/** The filters of the harness by name, with their options. */
const FILTERS: ReadonlyMap<string, CreateFilter> = new Map([
  ['take_first', only([], () => FIRST_RESPONSE.filters[0])],
  ['take_first_k', only(['k'], takeFirstK)],
  ['majority_vote', only([], () => (responses) => [mostFrequent(responses)])],
  ['remove_whitespace', only([], () => eachText((text) => stripped(text, 'strip')))],
  ['lowercase', only([], () => eachText((text) => text.toLowerCase()))],
  ['uppercase', only([], () => eachText((text) => text.toUpperCase()))],
  ['map', only(['mapping_dict', 'default_value'], mapFilter)],
  ['regex', only(['regex_pattern', 'group_select', 'fallback'], readRegex)],
]);

/**
 * The filter pipelines of a task (`filter_list`).
 *
 * @param repeats how often the task asks each request
 * @throws QdyloraError BAD_CONFIG for unknown filters and options, for pipelines that do not end with
 * take_first, and for two of the same name
 */
export function readFilters(task: YamlEntries, repeats: number): readonly FilterPipeline[] {
  const lists = task.mappings('filter_list');
  const pipelines = lists?.map((entries) => readPipeline(entries, repeats)) ?? [FIRST_RESPONSE];
  const names = pipelines.map(({ name }) => name);
  const repeated = names.find((name, i) => names.indexOf(name) < i);
  if (repeated === undefined) return pipelines;
  throw task.error(`\`filter_list\` has two lists of filters with the name ${repeated}.`, 'Rename one.');
}

function readPipeline(entries: YamlEntries, repeats: number): FilterPipeline {
  entries.assertOnly(['name', 'filter']);
  const steps = entries.mappings('filter') ?? [];
  const names = steps.map((step) => step.text('function'));
  // The function of a custom filter is part of the task (`TaskFunctions.prediction`).
  const isCustom = names.length === 1 && names[0] === 'custom' && functionName(steps[0].value('filter_fn'));
  if (!isCustom && (names.length === 0 || names.indexOf('take_first') !== names.length - 1))
    throw entries.error('A list of filters must end with take_first, which may occur once.');
  return {
    name: entries.text('name') ?? 'none',
    filters: isCustom ? [] : steps.map((step, i) => filterOf(names[i], step)(step, repeats)),
  };
}

function filterOf(name: string | null, step: YamlEntries): CreateFilter {
  const create = FILTERS.get(name ?? '');
  if (create) return create;
  const nearest = nearestName(name ?? '', FILTERS.keys());
  throw step.error(
    `There is no filter ${name ?? 'without a name'}.`,
    nearest ? `Did you mean ${nearest}?` : `The filters are: ${[...FILTERS.keys()].join(', ')}.`,
  );
}

function only(keys: readonly string[], create: CreateFilter): CreateFilter {
  return (options, repeats) => {
    options.assertOnly(['function', ...keys]);
    return create(options, repeats);
  };
}

function takeFirstK(options: YamlEntries, repeats: number): Filter {
  const k = options.whole('k', 1);
  if (k === null) throw options.error('`k` must be a whole number of at least 1.');
  if (k > repeats)
    throw options.error(`\`k\` is ${k}, but \`repeats\` of the task is ${repeats}.`, 'Raise `repeats`.');
  return (responses) => responses.slice(0, k);
}

/** Among equally frequent responses the one that occurs first. */
function mostFrequent(responses: readonly PythonValue[]): PythonValue {
  const counts = new Map<PythonValue, number>();
  for (const response of responses) counts.set(response, (counts.get(response) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return [...counts].find(([, count]) => count === most)![0];
}

function mapFilter(options: YamlEntries): Filter {
  const mapping = options.mapping('mapping_dict');
  const otherwise = options.value('default_value') ?? null;
  return eachText((text) => (mapping?.has(text) ? mapping.value(text) : otherwise));
}

function readRegex(options: YamlEntries): Filter {
  const pattern = options.text('regex_pattern') ?? '#### (\\-?[0-9\\.\\,]+)';
  return regexFilter(pythonRegex(pattern), {
    groupSelect: options.whole('group_select') ?? 0,
    fallback: options.text('fallback') ?? '[invalid]',
    where: options.where,
  });
}
