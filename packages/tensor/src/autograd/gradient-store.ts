import { runOp, type ArrayView, type Backend, type FloatView } from '@qdylora/contract';
import { addInto } from '../ops/elements/add.ts';
import { copy } from '../ops/elements/copy.ts';
import type { Tensor } from '../tensor.ts';

/**
 * The gradients of one backward pass. One array may be the gradient of several tensors (both sides of a sum).
 * Only an array with one user is added to in place.
 */
export class GradientStore {
  private readonly byTensor = new Map<Tensor, FloatView>();
  private readonly users = new Map<FloatView, number>();
  private readonly backend: Backend;
  /** Arrays that the store must not release: seeds of the caller. */
  private readonly foreign = new Set<FloatView>();

  constructor(backend: Backend) {
    this.backend = backend;
  }

  /** Sets the root's gradient. Unless it is `owned`, the array is not changed. */
  seed(tensor: Tensor, gradient: FloatView, owned: boolean): void {
    if (!owned) this.foreign.add(gradient);
    this.put(tensor, gradient);
  }

  get(tensor: Tensor): FloatView | undefined {
    return this.byTensor.get(tensor);
  }

  /** True if the array is the gradient of some tensor. A rule may have written a gradient over a result. */
  holds(view: ArrayView): boolean {
    return this.users.has(view as FloatView);
  }

  /** The gradient of `tensor` if no other tensor shares its array. */
  ownedBy(tensor: Tensor): FloatView | undefined {
    const gradient = this.byTensor.get(tensor);
    return gradient && this.users.get(gradient) === 1 && !this.foreign.has(gradient) ? gradient : undefined;
  }

  /** The gradient of `tensor` for a caller: a copy where another tensor or the seed has the same array. */
  returned(tensor: Tensor): FloatView | undefined {
    const present = this.byTensor.get(tensor);
    if (!present) return undefined;
    const owned = this.ownedBy(tensor);
    return owned ?? this.replace(tensor, this.copyOf(present));
  }

  /**
   * Adds a contribution to the gradient of `tensor`. The first one becomes the gradient: the store keeps its
   * array. Later ones are added to it and stay the caller's. A rule may return one array for two inputs that
   * are the same tensor: then the gradient is a copy of it plus itself.
   */
  add(tensor: Tensor, contribution: FloatView): void {
    const present = this.byTensor.get(tensor);
    if (!present) return this.put(tensor, contribution);
    const owned = present === contribution ? undefined : this.ownedBy(tensor);
    const sum = owned ?? this.copyOf(present);
    runOp(this.backend, addInto, { x: contribution }, {}, { sum });
    if (!owned) this.replace(tensor, sum);
  }

  /** Removes the gradient of `tensor`, and releases its array after the last user. */
  drop(tensor: Tensor): void {
    const gradient = this.byTensor.get(tensor);
    if (!gradient) return;
    this.byTensor.delete(tensor);
    const users = this.users.get(gradient)! - 1;
    if (users > 0) return void this.users.set(gradient, users);
    this.users.delete(gradient);
    if (!this.foreign.has(gradient)) this.backend.memory.release(gradient);
  }

  private put(tensor: Tensor, gradient: FloatView): void {
    this.byTensor.set(tensor, gradient);
    this.users.set(gradient, (this.users.get(gradient) ?? 0) + 1);
  }

  private copyOf(gradient: FloatView): FloatView {
    return runOp(this.backend, copy, { x: gradient }, {}).y;
  }

  private replace(tensor: Tensor, gradient: FloatView): FloatView {
    this.drop(tensor);
    this.put(tensor, gradient);
    return gradient;
  }
}
