import { unsupportedAdapter } from './bad-adapter.ts';

/** The value of a module; the first matching key wins, in file order. */
export type ModulePattern = (module: string) => number | undefined;

/**
 * Longest matched name. Matching backtracks; with two unbounded repeats and PEFT's prefix it costs at most
 * the cube of this length.
 */
export const MAX_MODULE_NAME = 256;

/**
 * PEFT's rule for `rank_pattern` and `alpha_pattern`: a key is a regular expression for the whole name or for
 * a suffix after a dot; `^` restricts it to the whole name.
 *
 * @throws QdyloraError UNSUPPORTED for an expression that could take exponential time, or that JavaScript
 * cannot parse or would read in another way than Python.
 */
export function modulePattern(
  path: string,
  field: string,
  values: ReadonlyMap<string, number>,
): ModulePattern {
  const compiled = [...values].map(([key, value]) => ({ expression: compile(path, field, key), value }));
  return (module) => {
    if (compiled.length === 0) return undefined;
    if (module.length > MAX_MODULE_NAME)
      throw unsupportedAdapter(path, `${field} and a module name of ${module.length} characters`);
    return compiled.find(({ expression }) => expression.test(module))?.value;
  };
}

function compile(path: string, field: string, key: string): RegExp {
  const expression = pythonExpression(key, (inner) => `^(?:.*\\.)?(?:${inner})$`);
  if (expression) return expression;
  throw unsupportedAdapter(
    path,
    `the expression ${JSON.stringify(key.slice(0, 200))} in ${field}`,
    'Write full module names instead.',
  );
}

/**
 * A Python expression inside of a larger one. Null where it could take exponential time, or where JavaScript
 * cannot parse it or would read it in another way.
 */
export function pythonExpression(key: string, around: (inner: string) => string): RegExp | null {
  const unescaped = key.replace(/\\./g, '_');
  const repeatsGroup = /\)\s*[*+{]/.test(unescaped);
  const unbounded = unescaped.match(/[*+]|\{\d*,\d*\}/g)?.length ?? 0;
  const isPythonOnly = PYTHON_ESCAPE.test(key.replaceAll('\\\\', '')) || PYTHON_SYNTAX.test(unescaped);
  if (repeatsGroup || unbounded > 2 || key.length > MAX_MODULE_NAME || isPythonOnly) return null;
  try {
    return new RegExp(around(key));
  } catch {
    return null;
  }
}

/**
 * Escapes that mean something else in JavaScript (`\A`, `\Z`), and back references, whose numbers PEFT's own
 * group shifts. `\d`, `\w`, `\s` and `\b` mean the same.
 */
const PYTHON_ESCAPE = /\\(?![dDsSwWbB])[A-Za-z1-9]/;

/** `{,n}`, and a `]` that is first in its class and so belongs to it. */
const PYTHON_SYNTAX = /\{,\d*\}|\[\^?\]/;
