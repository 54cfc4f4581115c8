import { termsOfWorker, type Communicator, type TermRange } from '@qdylora/collectives';
import type { Pass } from '../step/run-pass.ts';

/** Groups passes into terms, which stay on one worker: a single pass, or a teacher with its students. */
export function termsOf(passes: readonly Pass[]): TermRange[] {
  const terms: TermRange[] = [];
  for (let from = 0; from < passes.length;) {
    let to = from + 1;
    while (passes[to]?.distillation?.role === 'student') to++;
    terms.push({ from, to });
    from = to;
  }
  return terms;
}

/** The passes with a token to predict; the others have no gradient. */
export const countedPasses = (passes: readonly Pass[]): Pass[] =>
  passes.filter(({ batch }) => batch.predictedTokens > 0);

/** The passes of a step that this worker runs, as in `shareAccumulation`. */
export function passesOfWorker(
  passes: readonly Pass[],
  { rank, size }: Pick<Communicator, 'rank' | 'size'>,
): Pass[] {
  const counted = countedPasses(passes);
  const terms = termsOf(counted);
  const { from, to } = termsOfWorker(terms.length, rank, size);
  return terms.slice(from, to).flatMap((term) => counted.slice(term.from, term.to));
}
