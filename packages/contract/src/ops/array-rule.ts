import type { Arrays, ArrayView } from '../arrays/array-view.ts';
import { FLOAT_DTYPES, type DType } from '../arrays/dtype.ts';
import { shapeText } from '../arrays/shape.ts';
import { QdyloraError } from '../errors/errors.ts';

/**
 * One input of an op: its element types, its number of axes (null: any), and whether a call may leave it out.
 * The op's `shapes` checks sizes.
 */
export interface ArrayRule {
  readonly dtypes: readonly DType[];
  readonly axes: number | null;
  readonly isOptional: boolean;
}

const ruleOf =
  (...dtypes: DType[]) =>
  (axes: number | null): ArrayRule => ({ dtypes, axes, isOptional: false });

/** Float32 numbers. `axes` is the number of axes (null: any). */
export const f32Array = ruleOf('f32');
/** Numbers of any floating point type. */
export const floatArray = ruleOf(...FLOAT_DTYPES);
/** 32-bit integers: ids, targets, positions, ends of segments. */
export const i32Array = ruleOf('i32');
/** Bytes: codes of weights, scales or optimizer states. */
export const u8Array = ruleOf('u8');

/** The same for an array that a call may leave out. */
export const optional = (rule: ArrayRule): ArrayRule => ({ ...rule, isOptional: true });

/** A rule with its input's name. Every op of a step walks the list, which is faster than an object's keys. */
export interface NamedRule extends ArrayRule {
  readonly name: string;
}

/** The rules of an op's inputs as a list, in the order of the record. */
export const namedRules = (takes: Readonly<Record<string, ArrayRule>>): readonly NamedRule[] =>
  Object.entries(takes).map(([name, { dtypes, axes, isOptional }]) => ({ name, dtypes, axes, isOptional }));

/**
 * Checks that all required inputs of a call are present, and that each has the dtype and the number of axes
 * that the op declares.
 *
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
        problem: `${name} must have ${axesText(axes)}, but it is ${shapeText(view.shape)}`,
      });
  }
}

function refuseMissing(where: string, name: string, rules: readonly NamedRule[], inputs: Arrays): never {
  const present = Object.keys(inputs).filter((key) => inputs[key]);
  const needed = rules.filter(({ isOptional }) => !isOptional).map((rule) => rule.name);
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `the input ${name} is missing (got ${present.join(', ') || 'none'})`,
    nextStep: `A call needs ${needed.join(', ')}.`,
  });
}

function refuseNull(where: string, name: string, isOptional: boolean): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `${name} must be an array view, but it is null`,
    nextStep: isOptional ? 'Use undefined to leave it out.' : undefined,
  });
}

function refuseType(where: string, { name, dtypes }: NamedRule, view: ArrayView): never {
  throw new QdyloraError('BAD_ARGUMENT', {
    where,
    problem: `${name} must be ${dtypes.join(' or ')}, but it is ${view.dtype}`,
  });
}

const axesText = (axes: number): string => (axes === 1 ? 'one axis' : `${axes} axes`);
