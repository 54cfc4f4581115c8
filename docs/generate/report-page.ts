import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { snakeCase } from '@qdylora/contract';
import { anchor, code, escapeText, generatedPage, table } from './markdown.ts';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const SOURCE = 'packages/qdylora/src/recipes/outputs/run-report.ts';

/** Every field of `report.json`, from the type `RunReport` and those that it is made of. */
export function reportPage(): string {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(
    { ...config, include: [], files: [SOURCE] },
    ts.sys,
    root,
  );
  const program = ts.createProgram([join(root, SOURCE)], { ...options, noEmit: true });
  const checker = program.getTypeChecker();
  const declaration = program
    .getSourceFile(join(root, SOURCE))!
    .statements.find(
      (statement): statement is ts.InterfaceDeclaration =>
        ts.isInterfaceDeclaration(statement) && statement.name.text === 'RunReport',
    )!;
  const rows = fieldRows(checker, checker.getTypeAtLocation(declaration), '');
  return generatedPage('Report fields', SOURCE, [
    '`report.json` in the folder of a run has the numbers behind `report.html`. `await run.result` ' +
      'has the same object with ' +
      'the names in camelCase. Losses are in nats per token. A number that JSON cannot express is null.',
    table(['field', 'type', 'meaning'], rows),
  ]);
}

function fieldRows(checker: ts.TypeChecker, type: ts.Type, prefix: string): string[][] {
  return checker.getPropertiesOfType(type).flatMap((property) => {
    const fieldType = checker.getTypeOfSymbol(property);
    const path = `${prefix}${snakeCase(property.name)}`;
    const isList = itemOf(checker, fieldType) !== null;
    const nested = recordIn(checker, fieldType);
    const row = [
      `<a id="${anchor(path)}"></a>${code(path)}`,
      escapeText(typeText(checker, fieldType, nested !== null, isList)),
      escapeText(ts.displayPartsToString(property.getDocumentationComment(checker))),
    ];
    return [row, ...(nested ? fieldRows(checker, nested, `${path}${isList ? '[]' : ''}.`) : [])];
  });
}

const membersOf = (type: ts.Type): readonly ts.Type[] => (type.isUnion() ? type.types : [type]);

/** The type of the items of a list, or of a list that may be null. */
function itemOf(checker: ts.TypeChecker, type: ts.Type): ts.Type | null {
  const list = membersOf(type).find((member) => checker.isArrayType(member));
  return list ? checker.getTypeArguments(list as ts.TypeReference)[0] : null;
}

/** The record that a field is, may be, or lists. */
function recordIn(checker: ts.TypeChecker, type: ts.Type): ts.Type | null {
  const inner = itemOf(checker, type) ?? type;
  return (
    membersOf(inner).find(
      (member) =>
        (member.flags & ts.TypeFlags.Object) !== 0 &&
        !checker.isArrayType(member) &&
        checker.getPropertiesOfType(member).length > 0,
    ) ?? null
  );
}

function typeText(checker: ts.TypeChecker, type: ts.Type, isRecord: boolean, isList: boolean): string {
  const orNull = membersOf(type).some((member) => (member.flags & ts.TypeFlags.Null) !== 0) ? ' or null' : '';
  if (isRecord) return `${isList ? 'list of objects' : 'object'}${orNull}`;
  const item = itemOf(checker, type);
  if (item) return `list of ${checker.typeToString(item)}s${orNull}`;
  return checker.typeToString(type).replaceAll(' | undefined', '').replaceAll(' | ', ' or ');
}
