import type { Arrays, ArrayView, FloatDType } from '@qdylora/contract';
import {
  adaptedLinearGroup,
  adaptedLinearGroupBackward,
  withLayerNumber,
  type RankPart,
} from '@qdylora/lora-dynamic';
import fc from 'fast-check';
import {
  adaptedAttributes,
  adaptedBound,
  arbitraryCuts,
  baseOf,
  basesIn,
  partsOf,
  uOf,
  type Base,
  type Cuts,
} from '../adapted-operands.ts';
import { arbitrarySeed, arbitrarySize, normalView } from '../arbitraries.ts';
import { conformanceCase, forHalves, type HalfSetting } from '../conformance-case.ts';

interface LayerSetting {
  readonly rows: number;
  readonly base: Base;
  readonly isAdapted: boolean;
  readonly hasBias: boolean;
  readonly wantsGradients: boolean;
}

interface GroupSetting {
  readonly tokens: number;
  readonly cols: number;
  readonly r: number;
  readonly from: number;
  readonly seed: number;
  readonly layers: readonly LayerSetting[];
  readonly computeDtype: FloatDType;
  readonly accumulate: boolean;
  readonly wantsDx: boolean;
  readonly cuts: Cuts;
}

const parametersFor = ({ half, computeDtypes }: HalfSetting): fc.Arbitrary<GroupSetting> =>
  fc.record({
    tokens: arbitrarySize(40),
    cols: fc.oneof(fc.constantFrom(0, 64, 128), arbitrarySize(100)),
    r: arbitrarySize(33),
    from: fc.integer({ min: 0, max: 33 }),
    seed: arbitrarySeed,
    layers: fc.array(
      fc.record({
        rows: arbitrarySize(100),
        base: fc.constantFrom(...basesIn(half)),
        isAdapted: fc.boolean(),
        hasBias: fc.boolean(),
        wantsGradients: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    computeDtype: fc.constantFrom(...computeDtypes),
    accumulate: fc.boolean(),
    wantsDx: fc.boolean(),
    cuts: arbitraryCuts(),
  });

const isAnyAdapted = ({ layers }: GroupSetting): boolean => layers.some(({ isAdapted }) => isAdapted);

/** The first row of the adapter that is trained; 0 where no layer has one. */
const firstTrained = (setting: GroupSetting): number =>
  isAnyAdapted(setting) ? Math.min(setting.from, setting.r) : 0;

const groupParts = (setting: GroupSetting): RankPart[] | undefined =>
  isAnyAdapted(setting) ? partsOf(setting.cuts, setting.tokens, setting.r, firstTrained(setting)) : undefined;

const groupAttributes = (setting: GroupSetting) => ({
  layers: setting.layers.map(({ base, rows, isAdapted }) => ({
    ...adaptedAttributes(base, rows, setting.cols, setting.computeDtype),
    scale: isAdapted ? 0.7 : 1,
  })),
  cols: setting.cols,
  computeDtype: setting.computeDtype,
  parts: groupParts(setting),
});

/** The arrays of all layers under their names in a group: `a0`, `b0`, `a1` … */
const numberedArrays = (
  { layers }: GroupSetting,
  arraysOf: (layer: LayerSetting, index: number) => Record<string, ArrayView | undefined>,
): Arrays =>
  Object.assign(
    {},
    ...layers.map((layer, index) => withLayerNumber(arraysOf(layer, index), index)),
  ) as Arrays;

/** The frozen weight of a layer and its adapter. */
const layerOperands = (
  { seed, cols, r }: GroupSetting,
  { base, rows, isAdapted }: LayerSetting,
  i: number,
) => ({
  ...baseOf(base, seed + i, rows, cols),
  ...(isAdapted && { a: normalView(seed + i, 'a', [r, cols]), b: normalView(seed + i, 'b', [r, rows]) }),
});

function forwardCall(setting: GroupSetting) {
  const { seed, tokens, cols, r } = setting;
  const inputs = {
    x: normalView(seed, 'x', [tokens, cols]),
    ...numberedArrays(setting, (layer, i) => ({
      ...layerOperands(setting, layer, i),
      bias: layer.hasBias ? normalView(seed + i, 'bias', [layer.rows]) : undefined,
    })),
  };
  const attributes = groupAttributes(setting);
  return {
    inputs,
    attributes,
    bound: adaptedBound(adaptedLinearGroup, { inputs, attributes }, cols + r + 6),
  };
}

function backwardCall(setting: GroupSetting) {
  const { seed, tokens, cols, r, accumulate, wantsDx, layers } = setting;
  const parts = groupParts(setting);
  const trained = r - firstTrained(setting);
  const call = {
    inputs: {
      x: normalView(seed, 'x', [tokens, cols]),
      ...numberedArrays(setting, (layer, i) => ({
        ...layerOperands(setting, layer, i),
        dy: normalView(seed + i, 'dy', [tokens, layer.rows]),
        ...(layer.isAdapted && { u: uOf(seed + i, tokens, r, parts) }),
      })),
    },
    attributes: { ...groupAttributes(setting), accumulate, trainFrom: firstTrained(setting), wantsDx },
    suppliedOutputs: {
      ...(accumulate && wantsDx && { dx: normalView(seed, 'dx', [tokens, cols]) }),
      ...numberedArrays(setting, ({ rows, isAdapted, wantsGradients }, i) =>
        isAdapted && wantsGradients
          ? {
              da: normalView(seed + i, 'da', [trained, cols]),
              db: normalView(seed + i, 'db', [trained, rows]),
            }
          : {},
      ),
    },
  };
  const terms = layers.reduce((sum, { rows }) => sum + rows + r, tokens + 6);
  return { ...call, bound: adaptedBound(adaptedLinearGroupBackward, call, terms) };
}

const TITLE = 'for one to three layers of one input, each with an adapter or without';

export const adaptedLinearGroupCases = forHalves((setting) => {
  const common = { title: TITLE, parameters: parametersFor(setting), numRuns: 80 };
  return [
    conformanceCase(adaptedLinearGroup, { ...common, call: forwardCall }),
    conformanceCase(adaptedLinearGroupBackward, { ...common, call: backwardCall }),
  ];
});
