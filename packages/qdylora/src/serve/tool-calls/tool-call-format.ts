/**
 * How a family writes calls of tools into its answer:
 * - `tagged` (Hermes, Qwen): `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, between other text
 * - `list` (Mistral): `[TOOL_CALLS][{"name": …, "arguments": {…}}, …]`, the whole answer
 * - `object` (Llama 3.1): `{"name": …, "parameters": {…}}`, the whole answer; several with semicolons between
 */
export type ToolCallFormat = 'tagged' | 'list' | 'object';

/** The format that a chat template shows the model, by what its source mentions; null where it shows none. */
export function toolCallFormatOf(templateSource: string): ToolCallFormat | null {
  if (templateSource.includes('<tool_call>')) return 'tagged';
  if (templateSource.includes('[TOOL_CALLS]')) return 'list';
  if (templateSource.includes('<|python_tag|>') || /"name"[^\n]*"parameters"/.test(templateSource))
    return 'object';
  return null;
}
