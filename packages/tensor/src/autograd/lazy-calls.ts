import {
  prepareOp,
  runOp,
  wrapBackend,
  wrapMemory,
  type Arrays,
  type ArrayView,
  type Backend,
  type Op,
} from '@qdylora/contract';
import type { DifferentiableOp } from './differentiable-op.ts';

/** A recorded call that has not run yet. */
interface Waiting {
  readonly after: readonly Waiting[];
  readonly run: () => void;
  readonly runForBackward: (() => void) | null;
  isDone: boolean;
}

/**
 * Delays the calls of a recomputed pass, of which only the gradients matter. A call runs when something reads
 * its result. At the end, only the calls run whose outputs backward reads.
 *
 * So the last projection of a block and the sum after it, whose values are known from the forward pass, are
 * not computed twice. The same ops run on the same numbers: an op's result depends on its inputs alone, and
 * the tape lets nothing overwrite an input of a recorded call.
 */
export class LazyCalls {
  /** For all unrecorded work of the pass: it finds all results computed. */
  readonly backend: Backend;
  private readonly innerBackend: Backend;
  private readonly makers = new Map<ArrayView, Waiting>();
  private waiting: Waiting[] = [];

  constructor(backend: Backend) {
    this.innerBackend = backend;
    this.backend = settling(backend, () => this.settle());
  }

  /** As `runOp`, but the outputs may have no contents yet. */
  call<I extends Arrays, O extends Arrays, A>(
    rule: DifferentiableOp<Op<I, O, A>, I, O, A>,
    inputs: I,
    attributes: A,
    suppliedOutputs: Partial<O>,
  ): O {
    const after: Waiting[] = [];
    for (const name in inputs) {
      const view = inputs[name];
      const maker = view && this.makers.get(view);
      if (maker) after.push(maker);
    }
    if (!rule.readsNoInput) after.forEach(settleOne);
    const { outputs, run } = prepareOp(this.innerBackend, rule.op, inputs, attributes, suppliedOutputs);
    const used = rule.usesOutputs ?? [];
    const forBackward = (): void => {
      runOp(
        this.innerBackend,
        rule.op,
        inputs,
        rule.withoutResult!(attributes),
        Object.fromEntries(used.map((name) => [name, outputs[name]])) as unknown as Partial<O>,
      );
    };
    const call: Waiting = {
      after,
      run,
      runForBackward:
        used.length === 0 && !rule.gradientInForward ? null : rule.withoutResult ? forBackward : run,
      isDone: false,
    };
    for (const name in outputs) if (outputs[name]) this.makers.set(outputs[name], call);
    this.waiting.push(call);
    return outputs;
  }

  /** Runs the calls whose outputs backward reads, and drops the others. */
  end(): void {
    for (const call of this.waiting.reverse()) {
      if (call.isDone || !call.runForBackward) continue;
      call.isDone = true;
      call.after.forEach(settleOne);
      call.runForBackward();
    }
    this.forget();
  }

  private settle(): void {
    this.waiting.forEach(settleOne);
    this.forget();
  }

  private forget(): void {
    this.waiting = [];
    this.makers.clear();
  }
}

function settleOne(call: Waiting): void {
  if (call.isDone) return;
  call.isDone = true;
  call.after.forEach(settleOne);
  call.run();
}

/** A backend that calls `settle` before a kernel runs, and before memory is read, written or released. */
function settling(backend: Backend, settle: () => void): Backend {
  const { memory } = backend;
  const first =
    <P extends unknown[], R>(body: (...parameters: P) => R) =>
    (...parameters: P): R => {
      settle();
      return body(...parameters);
    };
  const settled = wrapMemory(memory, {
    release: first((view: ArrayView) => memory.release(view)),
    scoped: (body, keep) =>
      memory.scoped(() => {
        const result = body();
        settle();
        return result;
      }, keep),
    read: (view) => {
      settle();
      return memory.read(view);
    },
    write: (view, values) => {
      settle();
      memory.write(view, values);
    },
    fill: (view, body) => {
      settle();
      memory.fill(view, body);
    },
    trim: first(() => memory.trim()),
    dispose: first(() => memory.dispose()),
    [Symbol.dispose]: first(() => memory.dispose()),
  });
  return wrapBackend(backend, {
    memory: settled,
    kernel: first((opName: string) => backend.kernel(opName)),
  });
}
