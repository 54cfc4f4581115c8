import type { Arrays, ArrayView } from '../arrays/array-view.ts';
import type { DType } from '../arrays/dtype.ts';
import { QdyloraError } from '../errors/errors.ts';

/**
 * What an op takes for one input: its element types, how many axes it has (null: any), and whether a call may
 * leave it out. Sizes are for the op's `shapes`.
 */
export interface ArrayRule {
  readonly dtypes: readonly DType[];
  readonly axes: number | null;
  readonly isOptional: boolean;
}

const ruleOf =
  (...dtypes: DType[]) =>
  (axes: number | null): ArrayRule => ({ dtypes, axes, isOptional: false });

/** Float32 numbers, in an array of so many axes (null: any). */
export const f32Array = ruleOf('f32');
/** Float32 or bfloat16 numbers. */
export const floatArray = ruleOf('f32', 'bf16');
/** Whole numbers of 32 bits: ids, targets, positions, ends of segments. */
export const i32Array = ruleOf('i32');
/** Bytes: codes of weights, of scales, of an optimizer's states. */
export const u8Array = ruleOf('u8');

/** The same for an array that a call may leave out. */
export const optional = (rule: ArrayRule): ArrayRule => ({ ...rule, isOptional: true });

/**
 * A rule with its input's name: a list of them is walked faster than the names of an object, and every op of
 * a step asks.
 */
export interface NamedRule extends ArrayRule {
  readonly name: string;
}

export const namedRules = (takes: Readonly<Record<string, ArrayRule>>): readonly NamedRule[] =>
  Object.entries(takes).map(([name, { dtypes, axes, isOptional }]) => ({ name, dtypes, axes, isOptional }));

/**
 * Checks that a call has every input that its op cannot do without, each of an element type and with as many
 * axes as the op takes.
 * @throws QdyloraError BAD_ARGUMENT (missing, no array, element type) or BAD_SHAPE (axes), naming the input
 */
export function assertTaken(where: string, rules: readonly NamedRule[], inputs: Arrays): void {
  for (let i = 0; i < rules.length; i++) {
    const rule = rules[i];
    const { name, dtypes, axes, isOptional } = rule;
    const view = inputs[name];
    if (view === undefined) {
      if (!isOptional) refuseMissing(where, name, rules, inputs);
      continue;
    }
    if (view === null) refuseNull(where, name, isOptional);
    if (view.dtype !== dtypes[0] && !dtypes.includes(view.dtype)) refuseType(where, rule, view);
    if (axes !== null && view.shape.length !== axes)
      throw new QdyloraError('BAD_SHAPE', {
        where,
        problem: `expected ${axesText(axes)} for ${name}, got [${view.shape.join(', ')}]`,
      });
  }
}

function refuseMissing(where: string, name: string, rules: readonly NamedRule[], inputs: Arrays): never {
  const got = Object.keys(inputs).filter((key) => inputs[key]);
  const needed = rules.filter(({ isOptional }) => !isOptional).map((rule) => rule.name);
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `expected the input ${name}, got ${got.join(', ') || 'none'}`,
    nextStep: `A call needs ${needed.join(', ')}.`,
  });
}

function refuseNull(where: string, name: string, isOptional: boolean): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `expected an array view for ${name}, got null`,
    nextStep: isOptional ? 'undefined leaves it out.' : undefined,
  });
}

function refuseType(where: string, { name, dtypes }: NamedRule, view: ArrayView): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `expected ${dtypes.join(' or ')} for ${name}, got ${view.dtype}`,
  });
}

const axesText = (axes: number): string => (axes === 1 ? 'one axis' : `${axes} axes`);
