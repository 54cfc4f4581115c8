import { badData, kindOf } from '../bad-data.ts';
import type { ChatMessage } from '../template/chat-message.ts';
import { labelConversation } from '../labels/label-conversation.ts';
import type { LabelledTokens } from '../labels/mask-prompt.ts';
import { parseJsonText } from '../rows/json/parse-json-text.ts';
import { noteTemplate } from './note-template.ts';
import { readVariables } from './read-variables.ts';
import { assertTemplate, assertTokenizer, type Row, type RowSettings } from './row-format.ts';

/**
 * Formats messages with the tokenizer's chat template and the row's tools and variables. The loss is on
 * every assistant turn except those of weight 0 (OpenAI's key).
 *
 * @throws QdyloraError BAD_DATA for invalid tools, variables or weights, or if the template refuses the
 * conversation; BAD_CONFIG without a template.
 */
export function labelMessages(
  messages: readonly ChatMessage[],
  row: Row,
  settings: RowSettings,
): LabelledTokens {
  const { completionOnlyLoss, templateNotes } = settings;
  const tokenizer = assertTokenizer(settings.tokenizer, 'messages');
  const untrained = messages.flatMap(({ weight, role }, i) =>
    isUntrained(weight, `message ${i}`, row.where) && role === 'assistant' ? [i] : [],
  );
  const template = assertTemplate(tokenizer);
  const tools = readTools(row);
  const variables = readVariables(row);
  const shown = messages.map(({ weight: _, ...message }): ChatMessage => message as ChatMessage);
  const conversation = { messages: shown, tools, variables };
  const labelled = labelConversation(conversation, {
    tokenizer,
    template,
    completionOnlyLoss,
    where: row.where,
    untrained,
  });
  noteTemplate(conversation, template, row.where, templateNotes);
  return labelled;
}

function isUntrained(weight: unknown, name: string, where: string): boolean {
  if (weight === undefined || weight === null || weight === 1) return false;
  if (weight === 0) return true;
  throw badData(
    where,
    `The weight of ${name} must be 0 or 1 (got ${typeof weight === 'number' ? weight : kindOf(weight)})`,
    'A turn counts or does not: correct or delete this line.',
  );
}

/** Reads `tools`: a list, or its JSON text, as Parquet files and some datasets have it. */
function readTools(row: Row): readonly unknown[] | undefined {
  const {
    value: { tools },
    where,
  } = row;
  if (tools === undefined || tools === null || tools === '') return undefined;
  const list =
    typeof tools === 'string'
      ? parseJsonText(tools, { where, expected: 'a list, or one as JSON, for "tools"' })
      : row.exact('tools');
  if (!Array.isArray(list))
    throw badData(where, `"tools" must be a list (got ${kindOf(list)})`, 'Correct or delete this line.');
  return list.length > 0 ? list : undefined;
}
