import type { ModelCase } from '@qdylora/testing';
import { FAMILIES } from '../families/family-of.ts';

/** One thing that a test has shown of a case. */
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

const MEANINGS = `- **logits**: every logit of two sequences is within the tolerance of transformers 5.24 in float64; **gradients**: the loss and every weight's gradient; **generation**: twelve greedy tokens, with the cache.
- **older config**: the same bits from the config as transformers 4 spelled it. **hub names**: the same values from the names and left-over buffers of older hub files.
- **4 bits**: a checkpoint that bitsandbytes packed. **GGUF**: a file of llama.cpp's own converter.
- **PEFT**: \`all-linear\` reaches the same layers as in PEFT 0.21, with matrices of the same shapes. Beside it, what PEFT adapts where an adapter names nothing.
- A number says in how many checkpoints, each with other options of the family; a dash: no such file was tried.`;

/**
 * The page docs/families.md: what is proved of which family, from the table of families and the results of
 * the tests.
 */
export function supportTable(proofs: readonly Proof[], cases: readonly ModelCase[]): string {
  const rows = [...FAMILIES].map(([modelType, { peftTargets }]) => {
    const of = (what: Proof['what']): number =>
      proofs.filter((proof) => proof.modelType === modelType && proof.what === what).length;
    const tolerances = cases
      .filter((own) => own.modelType === modelType)
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
    `# Families, and what is proved of each\n\n<!-- Written by src/families.golden.test.ts, which ` +
    `fails when this page is stale: npx vitest run src/families.golden.test.ts -u ` +
    `-->\n\n${lines.join('\n')}\n\n${MEANINGS}\n`
  );
}
