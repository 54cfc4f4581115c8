import { QdyloraError } from '@qdylora/contract';

const RESUME = '--resume-from-checkpoint';

/** `npx qdylora train run.yaml --resume-from-checkpoint auto`, to paste into a shell. */
export function continueCommand(argv: readonly string[]): string {
  const words = argv.filter(
    (word, i) => word !== RESUME && argv[i - 1] !== RESUME && !word.startsWith(`${RESUME}=`),
  );
  return ['npx', 'qdylora', ...words, RESUME, 'auto'].map(shellWord).join(' ');
}

const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;

/** The same error with the command that continues the run, where the run can be continued. */
export function withContinueCommand(error: unknown, argv: readonly string[]): unknown {
  if (!QdyloraError.isInstance(error) || !/resume[_-]from[_-]checkpoint/.test(error.nextStep)) return error;
  const { code, where, nextStep, details, message } = error;
  const isSaved = code === 'ABORTED' && typeof details.checkpoint === 'string';
  const advice = isSaved ? `The last whole step is saved in ${details.checkpoint as string}.` : nextStep;
  return new QdyloraError(code, {
    where,
    problem: message.slice(`[${where}] `.length, message.length - nextStep.length).trim(),
    nextStep: `${advice}\nTo continue:\n${continueCommand(argv)}`,
    details,
    cause: error,
  });
}
