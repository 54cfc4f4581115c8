import type { Backend } from '@qdylora/contract';
import type { SoftTargets, SoftTargetUse } from '@qdylora/tensor';
import type { Pass } from './run-pass.ts';

/**
 * The arrays between a teacher and its students: 8·k + 4 bytes per token. They stay in place while passes
 * have the same number of tokens, so that recordings can use them.
 */
export interface SoftTargetMemory {
  /** The arrays that a pass writes or reads; undefined for a pass without distillation. */
  of(pass: Pass): SoftTargetUse | undefined;
  release(): void;
}

export function createSoftTargetMemory({ memory }: Backend): SoftTargetMemory {
  let current: SoftTargets | null = null;
  const release = (): void => {
    if (current) for (const view of Object.values(current)) memory.release(view);
    current = null;
  };
  const arraysOf = (tokens: number, classes: number): SoftTargets => {
    if (current?.topIds.shape[0] === tokens && current.topIds.shape[1] === classes) return current;
    release();
    current = {
      topIds: memory.allocate('i32', [tokens, classes]),
      topLogProbabilities: memory.allocate('f32', [tokens, classes]),
      tailMass: memory.allocate('f32', [tokens]),
    };
    memory.persist(...Object.values(current));
    return current;
  };
  return {
    of({ distillation, batch, view }) {
      if (!distillation) return undefined;
      // `runStep` has checked that the model has a vocabulary
      const classes = Math.min(distillation.topK, view.model.vocabularySize!);
      const arrays = arraysOf(batch.ids.length, classes);
      return distillation.role === 'teacher'
        ? { role: 'teacher', arrays }
        : { role: 'student', arrays, weight: distillation.weight };
    },
    release,
  };
}
