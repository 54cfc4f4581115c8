import { assertArgument, type ArrayView, type Memory } from '@qdylora/contract';
import type { Tensor } from './tensor.ts';

/** A named weight. It is trainable while it has a `gradient`, to which backward adds; else it is frozen. */
export class Parameter implements Tensor {
  readonly name: string;
  readonly view: ArrayView;
  /** Sum of all gradients since it was last cleared: float32, the shape of `view`. */
  gradient: ArrayView<'f32'> | null = null;
  /** The gradient, where it was allocated here. */
  private allocated: ArrayView<'f32'> | null = null;

  constructor(name: string, view: ArrayView) {
    this.name = name;
    this.view = view;
  }

  get needsGradient(): boolean {
    return this.gradient !== null;
  }

  /**
   * Allocates the gradient in `memory`, with undefined contents: clear it before use. With `gradient`, that
   * array is used instead, and the caller releases it. A parameter that is trainable keeps its gradient.
   *
   * @throws QdyloraError BAD_ARGUMENT for another gradient than the one that it has
   */
  makeTrainable(memory: Memory, gradient?: ArrayView<'f32'>): void {
    if (this.gradient) {
      assertArgument(
        gradient === undefined || gradient === this.gradient,
        this.name,
        'The parameter has another gradient already',
        'Call freeze first.',
      );
      return;
    }
    if (!gradient) {
      this.allocated = memory.allocate('f32', this.view.shape);
      memory.persist(this.allocated);
    }
    this.gradient = gradient ?? this.allocated;
  }

  /** Releases the gradient, unless the caller of `makeTrainable` owns it. */
  freeze(memory: Memory): void {
    if (this.allocated) memory.release(this.allocated);
    this.allocated = null;
    this.gradient = null;
  }
}
