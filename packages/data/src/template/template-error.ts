import { QdyloraError } from '@qdylora/contract';
import { badData } from '../bad-data.ts';
import { TemplateLimit } from '../jinja/budget.ts';
import { UnknownJinja } from '../jinja/python/values.ts';
import type { Node } from '../jinja/nodes.ts';
import { placeText } from './template-place.ts';

/** A template refused a conversation with `raise_exception`. */
export class TemplateRefusal extends Error {}

/**
 * Converts the error of a rendering for the user: a refusal by the template, a limit, unsupported Jinja, or a
 * conversation that does not fit the template.
 *
 * @param failure the error, and the innermost part of the template that failed
 * @param where the row
 */
export function templateError(
  { error, node }: { readonly error: unknown; readonly node: Node | null },
  source: string,
  where: string,
): QdyloraError {
  if (QdyloraError.isInstance(error)) return error;
  const { message } = error as Error;
  const at = placeText(source, node);
  if (error instanceof TemplateRefusal)
    return badData(
      where,
      `The chat template refuses this conversation: ${message}`,
      'Correct the messages of this row, or give the model another template.',
      error,
    );
  if (error instanceof TemplateLimit)
    return new QdyloraError('BAD_CONFIG', {
      where: 'chat template',
      problem: `The template asks for ${message}${at}, which is beyond its limits`,
      nextStep: 'Use the chat_template of the model that the tokenizer belongs to.',
      cause: error,
    });
  if (error instanceof UnknownJinja)
    return new QdyloraError('UNSUPPORTED', {
      where: 'chat template',
      problem: `The template uses Jinja that is not supported. ${message}${at}`,
      nextStep: 'Write this part of the template another way, or use rows of prompt and completion.',
      cause: error,
    });
  return badData(
    where,
    `The chat template fails on this conversation${at}: ${message}`,
    'Correct the messages of this row, or give the model another template.',
    error,
  );
}
