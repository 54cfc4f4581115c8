import { existsSync, readdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { readTextFile } from '../json/read-json-file.ts';
import { isRecord } from '../json/is-record.ts';

/** Chat templates by purpose. */
export interface ChatTemplates {
  readonly default: string | null;
  readonly tool_use: string | null;
}

const FILE = 'chat_template.jinja';

/** The folder of additional templates; each is named after its file. */
export const TEMPLATE_FOLDER = 'additional_chat_templates';

/** True for template files, by their name relative to the folder. */
export const isTemplateFile = (name: string): boolean =>
  name === FILE || (dirname(name) === TEMPLATE_FOLDER && /^[^/\\]+\.jinja$/.test(basename(name)));

/**
 * A folder's templates: its files if it has any, else those of `tokenizer_config.json`, as in transformers.
 *
 * @param inside the path of a name below the folder
 */
export function folderTemplates(inside: (name: string) => string, configured: () => unknown): ChatTemplates {
  const others = existsSync(inside(TEMPLATE_FOLDER))
    ? readdirSync(inside(TEMPLATE_FOLDER)).map((name) => `${TEMPLATE_FOLDER}/${name}`)
    : [];
  const files = new Set([...(existsSync(inside(FILE)) ? [FILE] : []), ...others].filter(isTemplateFile));
  if (files.size === 0) return namedTemplates(configured());
  const named = (name: string): string | null => {
    const other = `${TEMPLATE_FOLDER}/${name}.jinja`;
    const file = files.has(other) ? other : name === 'default' && files.has(FILE) ? FILE : null;
    return file === null ? null : readTextFile(inside(file), 'tokenizer');
  };
  return { default: named('default'), tool_use: named('tool_use') };
}

/**
 * One template as text, or several by name, in a list or a record. Without a `default` none is used, as in
 * transformers.
 */
function namedTemplates(value: unknown): ChatTemplates {
  const all =
    typeof value === 'string'
      ? { default: value }
      : Array.isArray(value)
        ? Object.fromEntries(value.filter(isRecord).map(({ name, template }) => [String(name), template]))
        : isRecord(value)
          ? value
          : {};
  const named = (name: string): string | null =>
    Object.hasOwn(all, name) && typeof all[name] === 'string' ? all[name] : null;
  return { default: named('default'), tool_use: named('tool_use') };
}
