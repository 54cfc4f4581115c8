import { runOp, type ArrayView, type Backend, type FloatView } from '@qdylora/contract';
import { addInto } from '../ops/elements/add.ts';
import { copy } from '../ops/elements/copy.ts';
import type { Tensor } from '../tensor.ts';

/**
 * The gradients of one backward pass. One array may serve several tensors (both sides of a sum); only an
 * array with one user is added to in place.
 */
export class GradientStore {
  private readonly byTensor = new Map<Tensor, FloatView>();
  private readonly users = new Map<FloatView, number>();
  private readonly backend: Backend;
  /** Arrays that are not the store's to release: what backward was started with. */
  private readonly foreign = new Set<FloatView>();

  constructor(backend: Backend) {
    this.backend = backend;
  }

  /** Starts the pass; unless it is `owned`, the gradient stays as it is. */
  seed(tensor: Tensor, gradient: FloatView, owned: boolean): void {
    if (!owned) this.foreign.add(gradient);
    this.put(tensor, gradient);
  }

  get(tensor: Tensor): FloatView | undefined {
    return this.byTensor.get(tensor);
  }

  /** True where the array is somebody's gradient: a rule may have written it over a result. */
  holds(view: ArrayView): boolean {
    return this.users.has(view as FloatView);
  }

  /** The gradient of `tensor` if nobody else reads that array. */
  ownedBy(tensor: Tensor): FloatView | undefined {
    const gradient = this.byTensor.get(tensor);
    return gradient && this.users.get(gradient) === 1 && !this.foreign.has(gradient) ? gradient : undefined;
  }

  /** Adds a contribution; the array becomes the store's. */
  add(tensor: Tensor, contribution: FloatView): void {
    const present = this.byTensor.get(tensor);
    if (!present) return this.put(tensor, contribution);
    const sum = this.ownedBy(tensor) ?? this.copyFor(tensor, present);
    runOp(this.backend, addInto, { x: contribution }, {}, { sum });
    if (!this.users.has(contribution)) this.backend.memory.release(contribution);
  }

  /** The gradient of `tensor` has been used up. */
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

  private copyFor(tensor: Tensor, present: FloatView): FloatView {
    const copied = runOp(this.backend, copy, { x: present }, {}).y;
    this.drop(tensor);
    this.put(tensor, copied);
    return copied;
  }
}
