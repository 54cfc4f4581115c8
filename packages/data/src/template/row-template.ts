import { QdyloraError } from '@qdylora/contract';
import { badData } from '../bad-data.ts';
import { TemplateLimit } from '../jinja/budget.ts';
import { UnknownJinja, type Dict } from '../jinja/python/values.ts';
import { jsonText } from '../jinja/python/json-text.ts';
import { renderProgram, TemplateFailure } from '../jinja/render-program.ts';
import type { Program } from '../jinja/nodes.ts';
import { readUntrimmedTokens } from '../jinja/syntax.ts';
import { parseTemplate } from './parse-template.ts';
import { placeText } from './template-place.ts';

/** A template over the fields of one row. */
export interface RowTemplate {
  /** The Jinja text. */
  readonly source: string;
  /**
   * Renders a row.
   *
   * @param where the row, for errors: `file:line`
   * @throws QdyloraError BAD_CONFIG for a template that is not Jinja or exceeds its limits; BAD_DATA for a
   * row without a field that the template reads, or with one that does not fit; UNSUPPORTED for Jinja that is
   * not implemented
   */
  render(row: Dict, where: string): string;
}

/**
 * Compiles a template of an evaluation task, in the dialect of lm-evaluation-harness: undefined names are
 * errors (`StrictUndefined`), whitespace and the last newline stay, and there is a filter `regex_replace`.
 *
 * @param name where the template is written, for errors: `gsm8k, doc_to_text`
 * @example
 * createRowTemplate('Question: {{question}}\nAnswer:', 'doc_to_text').render(row, 'test.jsonl:1');
 */
export function createRowTemplate(source: string, name: string): RowTemplate {
  let program: Program | null = null;
  const parsed = (): Program =>
    (program ??= parseTemplate(source, {
      where: name,
      nextStep: 'Correct the template. Only fields of the rows are known to it.',
      read: readUntrimmedTokens,
    }));
  return {
    source,
    render(row, where) {
      const inputLength = source.length + jsonText(row, {}, () => {}).length;
      const ast = parsed();
      try {
        return renderProgram(ast, Object.fromEntries(row), inputLength, { isStrict: true });
      } catch (error) {
        if (!(error instanceof TemplateFailure)) throw error;
        throw rowError(error, { source, name }, where);
      }
    },
  };
}

function rowError(
  { cause, node }: TemplateFailure,
  { source, name }: { readonly source: string; readonly name: string },
  where: string,
): Error {
  if (QdyloraError.isInstance(cause)) return cause;
  const at = placeText(source, node);
  const { message } = cause as Error;
  if (cause instanceof TemplateLimit)
    return new QdyloraError('BAD_CONFIG', {
      where: name,
      problem: `The template asks for ${message}${at}, which is beyond its limits`,
      nextStep: 'Make this part of the template shorter.',
      cause,
    });
  if (cause instanceof UnknownJinja)
    return new QdyloraError('UNSUPPORTED', {
      where: name,
      problem: `The template uses Jinja that is not supported. ${message}${at}`,
      nextStep: 'Write this part of the template another way.',
      cause,
    });
  return badData(
    where,
    `The template ${name} fails on this row${at}: ${message}`,
    'Give the row the fields that the template reads, or correct the template.',
    cause,
  );
}
