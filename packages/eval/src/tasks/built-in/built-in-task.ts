import type { TaskFunctions } from '../definition/task-definition.ts';

/** A task that is part of the package: its YAML, and what stands for its Python functions. */
export interface BuiltInTask {
  readonly yaml: string;
  readonly functions?: TaskFunctions;
}
