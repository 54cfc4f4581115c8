import { join } from 'node:path';
import ts from 'typescript';
import { docsFolder } from './read-pages.ts';

const root = join(docsFolder, '..');

/** What the compiler says of programs in strict mode, against the published types. @param paths of `.mts` */
export function typeErrors(paths: readonly string[], options: ts.CompilerOptions = {}): string[] {
  const program = ts.createProgram(paths, {
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    types: [join(root, 'node_modules/@types/node')],
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    ...options,
  });
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file ? file.getLineAndCharacterOfPosition(start ?? 0).line : 0;
    const text = ts.flattenDiagnosticMessageText(messageText, '\n');
    return `${file?.fileName}: ${text}\n  ${file?.text.split('\n')[line]}`;
  });
}
