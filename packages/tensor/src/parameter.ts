import type { ArrayView, Memory } from '@qdylora/contract';
import type { Tensor } from './tensor.ts';

/** A named weight. While `gradient` is there, backward adds to it; without it the weight is frozen. */
export class Parameter implements Tensor {
  readonly name: string;
  readonly view: ArrayView;
  /** Sum of gradients since it was last cleared; same shape as `view`, float32. */
  gradient: ArrayView<'f32'> | null = null;

  constructor(name: string, view: ArrayView) {
    this.name = name;
    this.view = view;
  }

  get needsGradient(): boolean {
    return this.gradient !== null;
  }

  /**
   * Makes room for the gradient in `memory` (contents undefined: clear it before use), unless `gradient` is
   * to hold it, which stays the caller's to release.
   */
  makeTrainable(memory: Memory, gradient?: ArrayView<'f32'>): void {
    if (this.gradient) return;
    this.gradient = gradient ?? memory.allocate('f32', this.view.shape);
    memory.persist(this.gradient);
  }

  /** Gives the gradient back, where its memory is its own. */
  freeze(memory: Memory): void {
    if (this.gradient) memory.release(this.gradient);
    this.gradient = null;
  }
}
