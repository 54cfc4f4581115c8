/**
 * How a family writes calls of tools into its answer:
 * - `tagged` (Hermes, Qwen): `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, between other text
 * - `list` (Mistral): `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`, after a text or without one
 * - `named` (Mistral since 2025): `[TOOL_CALLS]name[ARGS]{…}` or `[TOOL_CALLS]name[CALL_ID]id[ARGS]{…}`,
 *   after a text or without one, once for each call
 * - `object` (Llama 3.1): `{"name": …, "parameters": {…}}`, the whole answer or behind `<|python_tag|>`;
 *   several with semicolons between
 */
export type ToolCallFormat = 'tagged' | 'list' | 'named' | 'object';

/** The format that a chat template shows the model, by what its source mentions; null where it shows none. */
export function toolCallFormatOf(templateSource: string): ToolCallFormat | null {
  if (templateSource.includes('<tool_call>')) return 'tagged';
  if (templateSource.includes('[ARGS]')) return 'named';
  if (templateSource.includes('[TOOL_CALLS]')) return 'list';
  if (templateSource.includes('<|python_tag|>') || /"name"[^\n]*"parameters"/.test(templateSource))
    return 'object';
  return null;
}

/** The texts that tell where calls are. A model may have special tokens for them. */
export const CALL_MARKERS = {
  tagged: ['<tool_call>', '</tool_call>'],
  list: ['[TOOL_CALLS]'],
  named: ['[TOOL_CALLS]', '[CALL_ID]', '[ARGS]'],
  object: ['<|python_tag|>'],
} as const satisfies Readonly<Record<ToolCallFormat, readonly string[]>>;
