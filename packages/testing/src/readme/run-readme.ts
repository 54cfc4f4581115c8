import { withoutTypes } from './without-types.ts';

/** One line of an example that names its value: `expression; // value`. */
export interface CheckedValue {
  readonly code: string;
  readonly got: unknown;
  readonly said: unknown;
}

/** Lines that begin like this are statements; what stands behind them is a remark. */
const STATEMENT = /^(import|export|const|let|for|if|while|using|\}|\/\/)/;
const AsyncFunction = (async () => {
  /* only its constructor is wanted */
}).constructor as new (...parts: string[]) => (...values: unknown[]) => Promise<void>;

/**
 * Runs the `ts` examples of a README, one after the other in one scope, and hands back each value beside what
 * the page says it is.
 * Imports are taken from `libraries` by their names, so the examples run against sources. Types are removed;
 * docs/test/readme-blocks.test.ts checks them.
 *
 * @example
 * for (const { code, got, said } of await runReadme(readme, { '@qdylora/quant': quant }))
 *   expect(got, code).toEqual(said);
 */
export async function runReadme(
  readme: string,
  libraries: Readonly<Record<string, unknown>>,
): Promise<CheckedValue[]> {
  const code = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, example]) => example!).join('\n');
  const body = code
    .split('\n')
    .map((line) => {
      const imported = /^import (\{.*\}) from '(.*)';/.exec(line);
      const valued = STATEMENT.test(line.trimStart()) ? null : /^(.+);\s+\/\/ (.+)$/.exec(line);
      if (imported) return `const ${valuesOf(imported[1])} = libraries[${JSON.stringify(imported[2])}];`;
      return valued ? `check(${JSON.stringify(valued[1])}, ${valued[1]}, ${valued[2]});` : line;
    })
    .join('\n');
  const values: CheckedValue[] = [];
  await new AsyncFunction('libraries', 'check', withoutTypes(body))(
    libraries,
    (line: string, got: unknown, said: unknown) => values.push({ code: line, got, said }),
  );
  return values;
}

/** Imported names as a pattern, without those of types. */
const valuesOf = (imported: string): string => imported.replace(/\btype \w+,?/g, '').replaceAll(' as ', ': ');
