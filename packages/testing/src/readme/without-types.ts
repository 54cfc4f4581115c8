import ts from 'typescript';

/** TypeScript as JavaScript of the newest version: only types are removed. */
export const withoutTypes = (code: string): string =>
  ts.transpileModule(code, {
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
  }).outputText;
