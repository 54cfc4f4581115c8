import { QdyloraError } from '@qdylora/contract';
import { programsOf, withPassRates, type TaskScores } from '@qdylora/eval';
import type { Sandbox } from './open-sandbox.ts';

/**
 * Runs the programs of tasks whose answers are code, as many at a time as the sandbox allows, and adds
 * `pass@1`. Other tasks stay as they are.
 *
 * @throws QdyloraError ABORTED
 */
export async function judgePrograms(
  scores: readonly TaskScores[],
  sandbox: Sandbox,
  signal?: AbortSignal,
): Promise<readonly TaskScores[]> {
  const judged: TaskScores[] = [];
  for (const each of scores) {
    const programs = programsOf(each);
    judged.push(programs ? withPassRates(each, await runAll(programs, sandbox, signal)) : each);
  }
  return judged;
}

async function runAll(
  programs: readonly (readonly string[])[],
  sandbox: Sandbox,
  signal: AbortSignal | undefined,
): Promise<boolean[][]> {
  const passed = programs.map((repeats) => repeats.map(() => false));
  const places = programs.flatMap((repeats, d) => repeats.map((program, r) => ({ program, d, r })));
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < places.length) {
      const { program, d, r } = places[next++];
      try {
        passed[d][r] = await sandbox.passes(program, signal);
      } catch (error) {
        next = places.length; // the others start no further program
        throw error;
      }
      if (signal?.aborted)
        throw new QdyloraError('ABORTED', {
          where: 'tasks',
          problem: 'The evaluation was aborted',
          cause: signal.reason,
        });
    }
  };
  await Promise.all(Array.from({ length: sandbox.programsAtOnce }, work));
  return passed;
}
