import { badData, kindOf } from '../bad-data.ts';
import type { Row } from './row-format.ts';

/** Key of a row's own variables of the chat template, as in TRL. */
export const VARIABLES_KEY = 'chat_template_kwargs';

/** Variables that come from elsewhere: from the row's other keys, or from the way the row is used. */
const RESERVED_VARIABLES = [
  'messages',
  'tools',
  'add_generation_prompt',
  'continue_final_message',
  'chat_template',
];

/**
 * Reads a row's own variables of the chat template. @throws QdyloraError BAD_DATA for anything but an object,
 * and for a name in `RESERVED_VARIABLES`
 */
export function readVariables(row: Row): Readonly<Record<string, unknown>> | undefined {
  const { value, where } = row;
  const variables = value[VARIABLES_KEY] ?? null;
  if (variables === null) return undefined;
  if (typeof variables !== 'object' || Array.isArray(variables))
    throw badData(
      where,
      `"${VARIABLES_KEY}" must be an object (got ${kindOf(variables)})`,
      'Write {"enable_thinking": false}, or another variable that the chat template reads.',
    );
  const taken = RESERVED_VARIABLES.find((name) => Object.hasOwn(variables, name));
  if (taken !== undefined)
    throw badData(
      where,
      `"${VARIABLES_KEY}" must not contain ${JSON.stringify(taken)}: it cannot be set per row`,
      'It may have any other variable of the chat template. Messages and tools are keys of the row itself.',
    );
  return Object.fromEntries(row.exact(VARIABLES_KEY) as ReadonlyMap<string, unknown>);
}
