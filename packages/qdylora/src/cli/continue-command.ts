import { QdyloraError, withParts } from '@qdylora/contract';
import { shellCommand } from '../recipes/outputs/shell-command.ts';
import type { StartedWorkers } from './read-env.ts';
import { verbOf } from './verb-of.ts';

const RESUME = '--resume-from-checkpoint';

/**
 * `npx qdylora train run.yaml --resume-from-checkpoint auto`, to paste into a shell. `launch` takes flags of
 * the run after `--`.
 */
export function continueCommand(argv: readonly string[]): string {
  const words = argv.filter(
    (word, i) => word !== RESUME && argv[i - 1] !== RESUME && !word.startsWith(`${RESUME}=`),
  );
  const separator = verbOf(words) === 'launch' && !words.includes('--') ? ['--'] : [];
  return shellCommand([...words, ...separator, RESUME, 'auto']);
}

/** The line before the command, and the command. */
function howToContinue(argv: readonly string[], workers: StartedWorkers | null): string {
  if (workers?.words) return `To continue:\n${continueCommand(workers.words)}`;
  if (workers)
    return `To continue, start all ${workers.count} workers again, each with:\n${continueCommand(argv)}`;
  return `To continue:\n${continueCommand(argv)}`;
}

/**
 * The same error with the command that continues the run, where the run can be continued.
 *
 * @param workers those of which this process is one; null: it trains alone
 */
export function withContinueCommand(
  error: unknown,
  argv: readonly string[],
  workers: StartedWorkers | null = null,
): unknown {
  if (!QdyloraError.isInstance(error) || !/resume[_-]from[_-]checkpoint/.test(error.nextStep)) return error;
  const { code, nextStep, details } = error;
  const isSaved = code === 'ABORTED' && typeof details.checkpoint === 'string';
  const advice = isSaved ? `The last whole step is saved in ${details.checkpoint as string}.` : nextStep;
  return withParts(error, { nextStep: `${advice}\n${howToContinue(argv, workers)}` });
}
