import { eventLineJsonSchema } from '../app-sources.ts';
import { anchor, code, escapeText, generatedPage, table } from './markdown.ts';

/** JSON Schema, as far as that of the events uses it. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly description?: string;
}

/** Every line of `events.jsonl` with its fields. */
export function eventPage(): string {
  const { oneOf } = eventLineJsonSchema() as Schema;
  return generatedPage('Events', 'packages/qdylora/src/recipes/run-folder/event-line.ts', [
    '`events.jsonl` in the folder of a run has one JSON object per line. The schema is stable: within ' +
      'a major version, ' +
      'fields and types of lines may be added; none is removed or changes its meaning. The package ' +
      'exports it as JSON ' +
      'Schema: `qdylora/events.schema.json`.',
    'The events of `finetune` have the same names and fields in camelCase. There are more of them ' +
      'than lines in the file: ' +
      '[FinetuneEvent](./api/qdylora.md#finetuneevent).',
    ...oneOf!.map(eventSection),
  ]);
}

function eventSection(event: Schema): string {
  const type = String(event.properties!.type.const);
  return [
    `## ${type} {#${anchor(type)}}`,
    `${escapeText(event.description ?? '')}.`,
    table(['field', 'type', 'meaning'], fieldRows(type, event, '')),
  ].join('\n\n');
}

function fieldRows(event: string, { properties = {}, required = [] }: Schema, prefix: string): string[][] {
  return Object.entries(properties).flatMap(([name, field]) => {
    const path = `${prefix}${name}`;
    const nested = objectIn(field);
    const row = [
      `<a id="${event}-${anchor(path)}"></a>${code(path)}`,
      escapeText(`${typeText(field)}${required.includes(name) ? '' : ', may be missing'}`),
      escapeText(field.description ?? ''),
    ];
    return [row, ...(nested ? fieldRows(event, nested, `${path}${field.items ? '[]' : ''}.`) : [])];
  });
}

/** The object that a field is, may be, or lists. */
const objectIn = ({ properties, anyOf, items, ...rest }: Schema): Schema | undefined =>
  properties
    ? { properties, anyOf, items, ...rest }
    : items
      ? objectIn(items)
      : anyOf?.map(objectIn).find((schema) => schema !== undefined);

function typeText(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' or ');
  if (schema.anyOf) return schema.anyOf.map(typeText).join(' or ');
  if (schema.items) return `list of ${typeText(schema.items)}`;
  return [schema.type ?? 'any'].flat().join(' or ');
}
