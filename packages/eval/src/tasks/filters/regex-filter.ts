import { QdyloraError } from '@qdylora/contract';
import { stripped } from '@qdylora/data';
import type { Filter } from './filter-pipeline.ts';

export interface RegexFilterOptions {
  /** Which match counts: 0 the first, −1 the last. */
  readonly groupSelect: number;
  /** The result without a match. */
  readonly fallback: string;
  /** The place of the filter, for errors. */
  readonly where: string;
}

/**
 * Extracts a match of a regular expression from each response: the whole match, its group, or the first group
 * that is not empty where there are several. White space around it is removed.
 *
 * @param regex with the flag `g`
 * @throws QdyloraError BAD_CONFIG for a response with fewer matches than `groupSelect` needs
 */
export function regexFilter(regex: RegExp, { groupSelect, fallback, where }: RegexFilterOptions): Filter {
  return (responses) =>
    responses.map((response) => {
      const matches = typeof response === 'string' ? [...response.matchAll(regex)] : [];
      if (matches.length === 0) return fallback;
      const match = matches.at(groupSelect);
      if (!match)
        throw new QdyloraError('BAD_CONFIG', {
          where,
          problem: `\`group_select\` is ${groupSelect}, but a response has only ${matches.length} matches`,
          nextStep: 'Set it to 0 for the first match, or to -1 for the last one.',
        });
      return stripped(extracted(match, fallback), 'strip');
    });
}

/** What Python's `findall` gives for a match: groups without a part are empty texts. */
function extracted([whole, ...groups]: RegExpMatchArray, fallback: string): string {
  if (groups.length === 0) return whole;
  if (groups.length === 1) return groups[0] ?? '';
  return groups.find((group) => group !== undefined && group !== '') ?? fallback;
}
