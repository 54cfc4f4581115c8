import type { Help } from 'commander';

/** Columns of the names of options; a longer name has a line of its own. */
const NAME_COLUMNS = 32;
/** A narrower terminal shows every description below its name. */
const NARROWEST_TABLE = 70;
const NAME_INDENT = 2;
const DESCRIPTION_INDENT = 6;

/**
 * A name and its description, wrapped between words at any width: side by side, or the description below the
 * name.
 */
function formatItem(name: string, _: number, description: string, helper: Help): string {
  const columns = helper.helpWidth!;
  const isTable = columns >= NARROWEST_TABLE;
  const indent = isTable ? NAME_COLUMNS + NAME_INDENT : DESCRIPTION_INDENT;
  const start = ' '.repeat(NAME_INDENT) + name;
  if (!description) return start;
  const text = helper.boxWrap(description, columns - indent).replaceAll('\n', `\n${' '.repeat(indent)}`);
  return isTable && start.length + 2 <= indent
    ? start.padEnd(indent) + text
    : `${start}\n${' '.repeat(indent)}${text}`;
}

/** Longer lines are hard to read. */
export const WIDEST_HELP = 110;

/** Wraps help between words also where there is little room. */
export const HELP_FORMAT: Partial<Help> = { minWidthToWrap: 1, formatItem };
