import { configReader, type ConfigReader } from '../config/config-reader.ts';
import type { PeftAdapterConfig } from './config.ts';
import { MAX_MODULE_NAME } from './module-pattern.ts';
import { pythonExpression } from './python-expression/python-expression.ts';

/** What `adapter_config.json` says about a module whose matrices are in the file. */
export interface Exclusion {
  /** The field that excludes the module, so that PEFT ignores its matrices; null: none certainly does. */
  readonly field: string | null;
  /** Fields of which it is not known, because their expression is not read. */
  readonly unreadFields: readonly string[];
}

/**
 * Finds the field of `adapter_config.json` that excludes a module from the adapter. The rule is
 * `check_target_module_exists` of PEFT 0.21.
 *
 * An expression that `pythonExpression` does not read is no reason to refuse a file: what PEFT saves always
 * agrees with its own config. It excludes nothing here, and is reported. The default of `target_modules`
 * depends on the model, so it excludes nothing here either.
 *
 * @param path of the config, for messages
 * @throws QdyloraError BAD_CONFIG for fields of the wrong type
 */
export function exclusionOf(path: string, config: PeftAdapterConfig): (module: string) => Exclusion {
  const reader = configReader(path, config.raw);
  const rules = rulesOf(reader, config);
  return (module) => {
    const verdicts = rules.map(({ field, excludes }) => ({ field, isExcluded: excludes(module) }));
    return {
      field: verdicts.find(({ isExcluded }) => isExcluded === true)?.field ?? null,
      unreadFields: verdicts.flatMap(({ field, isExcluded }) => (isExcluded === null ? [field] : [])),
    };
  };
}

/** True for a module that is in the set of a rule; null: not known. */
type ModuleTest = (module: string) => boolean | null;

interface ExclusionRule {
  readonly field: string;
  readonly excludes: ModuleTest;
}

function rulesOf(
  reader: ConfigReader,
  { targetModules, modulesToSave }: PeftAdapterConfig,
): readonly ExclusionRule[] {
  const isExcluded = namesOrExpression(textOrTexts(reader, 'exclude_modules'));
  const saved = modulesToSave.map(savedModule);
  const isTarget = isAllLinear(targetModules) ? () => true : namesOrExpression(targetModules ?? []);
  const isOtherLayer = otherLayers(reader);
  return [
    { field: 'exclude_modules', excludes: isExcluded },
    { field: 'modules_to_save', excludes: (module) => anyOf(saved.map((isSaved) => isSaved(module))) },
    {
      field: 'target_modules',
      excludes: (module) => (targetModules === null ? false : negated(isTarget(module))),
    },
    {
      field: 'layers_to_transform',
      // full names, and expressions, are targets in every layer
      excludes: (module) =>
        typeof targetModules !== 'string' && !targetModules?.includes(module) && isOtherLayer(module),
    },
  ];
}

const negated = (value: boolean | null): boolean | null => (value === null ? null : !value);

const anyOf = (values: readonly (boolean | null)[]): boolean | null =>
  values.includes(true) || (values.includes(null) ? null : false);

const isAllLinear = (targets: readonly string[] | string | null): boolean =>
  typeof targets === 'string' && targets.toLowerCase() === 'all-linear';

/** Names and dotted ends of names, or one expression for a whole name. */
function namesOrExpression(names: readonly string[] | string): ModuleTest {
  if (typeof names !== 'string') return (module) => names.some((name) => `.${module}`.endsWith(`.${name}`));
  const expression = pythonExpression(names);
  return (module) => (expression && isShort(module) ? expression.fitsWhole(module) : null);
}

const isShort = (module: string): boolean => module.length <= MAX_MODULE_NAME;

/** PEFT puts each name of `modules_to_save` into an expression without escaping it. */
function savedModule(name: string): ModuleTest {
  const expression = pythonExpression(`(^|.*\\.)${name}($|\\..*)`);
  return (module) => (expression && isShort(module) ? expression.fitsBeginning(module) !== null : null);
}

/** `layers_to_transform`: true for a module outside of the listed layers. */
function otherLayers(reader: ConfigReader): ModuleTest {
  const indices = layerIndices(reader);
  if (indices.length === 0) return () => false;
  const patterns = [textOrTexts(reader, 'layers_pattern')].flat();
  // without a pattern: the first number in a name, after two other parts at least
  const expressions = (
    patterns.length === 0
      ? ['.*?\\.[^.]*\\.(?P<idx>\\d+)\\.']
      : patterns.map((pattern) => `(?:^|.*?\\.)${pattern}\\.(?P<idx>\\d+)\\.`)
  ).map(pythonExpression);
  return (module) => {
    if (!isShort(module)) return null;
    for (const expression of expressions) {
      if (!expression) return null;
      const match = expression.fitsBeginning(module);
      if (match) return match.group === null || !indices.includes(Number(match.group));
    }
    return true;
  };
}

function layerIndices(reader: ConfigReader): readonly number[] {
  const field = 'layers_to_transform';
  if (!reader.has(field)) return [];
  const indices: unknown[] = [reader.raw[field]].flat();
  if (indices.every((index): index is number => Number.isSafeInteger(index))) return indices;
  throw reader.wrong('a whole number or a list of them', field);
}

/** A string or a list of strings; absent or empty: []. */
function textOrTexts(reader: ConfigReader, field: string): readonly string[] | string {
  if (!reader.has(field) || reader.raw[field] === '') return [];
  return typeof reader.raw[field] === 'string' ? reader.raw[field] : reader.strings(field);
}
