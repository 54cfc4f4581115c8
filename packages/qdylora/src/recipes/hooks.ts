/** Receives a sentence for the user about something that is allowed but perhaps not intended. */
export type Warn = (message: string) => void;

/** Work done so far, in units of the recipe: forward passes, packed layers, optimizer steps or documents. */
export interface RecipeProgress {
  readonly done: number;
  readonly total: number;
  /** Estimated time left; missing where it is not known. */
  readonly secondsLeft?: number;
}

/** The callbacks and the abort signal that recipes take beside their keys. */
export interface RecipeHooks {
  /** Ends the work with ABORTED. */
  readonly signal?: AbortSignal;
  /** Told what the user should read once. */
  readonly onNotice?: Warn;
  /** Called after each unit of work. */
  readonly onProgress?: (progress: RecipeProgress) => void;
}
