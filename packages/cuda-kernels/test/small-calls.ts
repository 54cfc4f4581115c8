import {
  bfloat16Array,
  elementCount,
  hostData,
  viewOf,
  type Arrays,
  type ArrayView,
  type Op,
} from '@qdylora/contract';
import { ALL_CASES } from '@qdylora/testing/conformance';
import type { checkKernel } from '@qdylora/testing';
import fc from 'fast-check';

/** Elements of an array at most: enough for several blocks of the kernels that work by rows. */
const MOST_ELEMENTS = 3000;

/** A call of an op with its bound. */
export interface SmallCall {
  readonly op: Op;
  readonly call: Parameters<typeof checkKernel>[2];
}

const fits = (arrays: Arrays): boolean =>
  Object.values(arrays).every((view) => {
    const count = view ? elementCount(view.shape) : 1;
    return count > 0 && count <= MOST_ELEMENTS;
  });

/** At most `count` small calls of each case of the ops, from the random calls of the conformance suite. */
export function smallCalls(opNames: readonly string[], count: number): SmallCall[] {
  return ALL_CASES.filter(({ op }) => opNames.includes(op.name)).flatMap(({ op, random }) => {
    const calls: SmallCall[] = [];
    for (const parameters of random ? fc.sample(random.parameters, { numRuns: 100, seed: 5 }) : []) {
      const { size } = parameters as { size?: unknown };
      if (typeof size === 'number' && size > MOST_ELEMENTS) continue;
      const call = random!.call(parameters) as SmallCall['call'];
      if (fits(call.inputs)) calls.push({ op, call });
      if (calls.length === count) break;
    }
    return calls;
  });
}

/** The arrays that the op takes as halves, in bfloat16. */
const halved = <T extends Arrays>(arrays: T, names: readonly string[]): T =>
  Object.fromEntries(
    Object.entries(arrays).map(([name, view]) => [
      name,
      view?.dtype === 'f32' && names.includes(name)
        ? viewOf('bf16', view.shape, bfloat16Array(hostData(view as ArrayView<'f32'>)))
        : view,
    ]),
  ) as T;

/**
 * The same call in bfloat16, where the op has halves. A result in bfloat16 is rounded from a float32 that
 * need not be the reference's to the last bit: it may be off by one step, 2⁻⁷ of itself. Inputs move by 2⁻⁸
 * of themselves, and the bound with them.
 */
export function halvedCall({ op, call }: SmallCall): SmallCall {
  const names = (op.halves ?? []) as readonly string[];
  const attributes = call.attributes as Record<string, unknown>;
  return {
    op,
    call: {
      ...call,
      inputs: halved(call.inputs, names),
      suppliedOutputs: call.suppliedOutputs && halved(call.suppliedOutputs, names),
      attributes: { ...attributes, outDtype: 'bf16', dxDtype: 'bf16' },
      bound: (name, index, want) =>
        (1 + 2 ** -6) * call.bound(name, index, want) + (names.includes(name) ? 2 ** -7 * Math.abs(want) : 0),
    },
  };
}
