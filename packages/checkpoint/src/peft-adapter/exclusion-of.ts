import { configReader, type ConfigReader } from '../config/config-reader.ts';
import type { PeftAdapterConfig } from './config.ts';
import { MAX_MODULE_NAME, pythonExpression } from './module-pattern.ts';

/**
 * Finds the field of `adapter_config.json` that excludes a module from the adapter; null: none does. The rule
 * is `check_target_module_exists` of PEFT 0.21. An expression that `pythonExpression` refuses excludes
 * nothing, and neither does the default of `target_modules`, which depends on the model.
 *
 * @param path of the config, for messages
 * @throws QdyloraError BAD_CONFIG for fields of the wrong type
 */
export function exclusionOf(path: string, config: PeftAdapterConfig): (module: string) => string | null {
  const { raw, targetModules, modulesToSave } = config;
  const reader = configReader(path, raw);
  const excluded = textOrTexts(reader, 'exclude_modules');
  const isOtherLayer = otherLayers(reader);
  return (module) => {
    if (module.length > MAX_MODULE_NAME) return null;
    if (excluded.length > 0 && matches(excluded, module) === true) return 'exclude_modules';
    if (modulesToSave.some((name) => `.${module}.`.includes(`.${name}.`))) return 'modules_to_save';
    if (targetModules === null || isAllLinear(targetModules)) return null;
    if (matches(targetModules, module) === false) return 'target_modules';
    const isSuffix = typeof targetModules !== 'string' && !targetModules.includes(module);
    return isSuffix && isOtherLayer(module) ? 'layers_to_transform' : null;
  };
}

const isAllLinear = (targets: readonly string[] | string): boolean =>
  typeof targets === 'string' && targets.toLowerCase() === 'all-linear';

/** Names and dotted ends of names, or one expression for a whole name; null for one that is not supported. */
function matches(names: readonly string[] | string, module: string): boolean | null {
  if (typeof names !== 'string') return names.some((name) => `.${module}`.endsWith(`.${name}`));
  return pythonExpression(names, (inner) => `^(?:${inner})$`)?.test(module) ?? null;
}

/** `layers_to_transform`: true for a module outside of the listed layers. */
function otherLayers(reader: ConfigReader): (module: string) => boolean {
  const indices = layerIndices(reader);
  if (indices.length === 0) return () => false;
  const patterns = [textOrTexts(reader, 'layers_pattern')].flat();
  const expressions = patterns.map((pattern) =>
    pythonExpression(pattern, (inner) => `^(?:(?:|.*?\\.)${inner}\\.(?<index>\\d+)\\.)`),
  );
  if (expressions.includes(null)) return () => false;
  const found = expressions.length === 0 ? [FIRST_INDEX] : (expressions as RegExp[]);
  return (module) => {
    const match = found.map((expression) => expression.exec(module)).find((result) => result !== null);
    const index = match?.groups?.index;
    return index === undefined || !indices.includes(Number(index));
  };
}

/** The first number in a name, after two other parts at least. */
const FIRST_INDEX = /^.*?\.[^.]*\.(?<index>\d+)\./;

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
