import { joinColumns, splitColumns } from '@qdylora/tensor';
import { normalView } from '@qdylora/testing';
import { benchKernel } from '../../bench/bench-kernel.ts';

// Falcon-40b: 8 groups of 16 query heads, a key and a value of width 64; Phi-3-mini: q, k, v side by side.
for (const [label, groups, widths] of [
  ['falcon-40b', 8, [1024, 64, 64]],
  ['phi-3-mini', 1, [3072, 3072, 3072]],
] as const) {
  const tokens = 256;
  const width = widths.reduce((sum, w) => sum + w, 0);
  const attributes = { groups, widths };
  await benchKernel(splitColumns, [
    {
      label,
      inputs: { x: normalView(1, 'x', [tokens, groups * width]) },
      attributes,
      bytes: 8 * tokens * groups * width,
    },
  ]);
  const [first, second, third] = widths.map((w, i) => normalView(i, 'part', [tokens, groups * w])) as [
    ReturnType<typeof normalView>,
    ReturnType<typeof normalView>,
    ReturnType<typeof normalView>,
  ];
  await benchKernel(joinColumns, [
    {
      label,
      inputs: { first, second, third },
      attributes: { ...attributes, tokens },
      bytes: 8 * tokens * groups * width,
    },
  ]);
}
