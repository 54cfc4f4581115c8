import { badData } from '../bad-data.ts';
import { stripped } from '../jinja/python/python-text.ts';

/** Marks the end of the last message's text. The space shows whether the template trims that text. */
const END_MARK = 'END_OF_THE_LAST_MESSAGE ';

/**
 * Renders a conversation up to the end of its last message's text, so that a model goes on with that text.
 * As `continue_final_message` in transformers: white space at the end stays unless the template trims it.
 *
 * @throws QdyloraError BAD_DATA where the last message has no text, or the template leaves it out or changes
 * it
 */
export function renderContinued<M extends { readonly content: string | null }>(
  messages: readonly M[],
  where: string,
  render: (messages: readonly M[]) => string,
): string {
  const last = messages.at(-1);
  if (typeof last?.content !== 'string')
    throw badData(
      where,
      'The last message has no text that an answer could go on with',
      'End the conversation with a message whose content is the beginning of the answer.',
    );
  const rendered = render([...messages.slice(0, -1), { ...last, content: last.content + END_MARK }]);
  const end = rendered.lastIndexOf(END_MARK.trimEnd());
  if (end < 0 || !rendered.includes(stripped(last.content, 'strip')))
    throw badData(
      where,
      'The chat template leaves out or changes the last message, so nothing can go on with it',
      'Leave the beginning of the answer out, or give the model another template.',
    );
  const text = rendered.slice(0, end);
  return rendered.startsWith(END_MARK, end) ? text : stripped(text, 'rstrip');
}
