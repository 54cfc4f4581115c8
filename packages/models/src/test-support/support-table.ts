import type { ModelCase } from '@qdylora/testing';
import { FAMILIES } from '../families/family-of.ts';

/** One property that a test has shown for a case. */
export interface Proof {
  readonly modelType: string;
  readonly name: string;
  readonly what: (typeof COLUMNS)[number];
}

const COLUMNS = [
  'logits',
  'gradients',
  'generation',
  'older config',
  'hub names',
  '4 bits',
  'GGUF',
  'PEFT',
] as const;

const MEANINGS = [
  '**logits**: all logits of two sequences are within the tolerance of transformers 5.24 in float64',
  "**gradients**: the loss and the gradients of all weights are within the case's tolerance",
  '**generation**: twelve greedy tokens are the same, with the cache',
  '**older config**: the config as transformers 4 spelled it gives the same bits',
  '**hub names**: the names and left-over buffers of older hub files give the same values',
  '**4 bits**: a checkpoint that bitsandbytes packed',
  "**GGUF**: a file of llama.cpp's own converter",
  '**PEFT**: `all-linear` reaches the same layers as in PEFT 0.21, with matrices of the same shapes',
  "**PEFT's default**: the layers that PEFT adapts where an adapter names none",
  'A number counts checkpoints, each with other options of the family. A dash: no such file was tried.',
]
  .map((meaning) => `- ${meaning}`)
  .join('\n');

/** The page docs/families.md: what is tested for which family, from the results of the tests. */
export function supportTable(proofs: readonly Proof[], cases: readonly ModelCase[]): string {
  const rows = [...FAMILIES].map(([modelType, { peftTargets }]) => {
    const of = (what: Proof['what']): number =>
      proofs.filter((proof) => proof.modelType === modelType && proof.what === what).length;
    const tolerances = cases
      .filter((each) => each.modelType === modelType)
      .map(({ tolerance }) => tolerance.logits);
    const range = [...new Set([Math.min(...tolerances), Math.max(...tolerances)])]
      .map((tolerance) => tolerance.toExponential(0))
      .join(' to ');
    return [
      `\`${modelType}\``,
      ...COLUMNS.map((what) => of(what) || '–'),
      peftTargets?.map((target) => `\`${target}\``).join(', ') ?? '–',
      range,
    ];
  });
  const header = ['family', ...COLUMNS, "PEFT's default", 'tolerance of logits'];
  const lines = [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  return (
    `# Families, and what is tested for each\n\n<!-- Written by src/families.golden.test.ts, which ` +
    `fails when this page is stale: npx vitest run src/families.golden.test.ts -u ` +
    `-->\n\n${lines.join('\n')}\n\n${MEANINGS}\n`
  );
}
