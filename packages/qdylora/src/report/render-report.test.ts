import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import { exampleBudgets, exampleRanks, exampleReport } from '../../test/example-report.ts';
import { renderReport } from './render-report.ts';
import type { ReportData } from './report-data.ts';

const HOSTILE = `<script>alert(1)</script>"'&<img src=x onerror=alert(2)>\u0000\ud800`;

const example = exampleReport();

/** Data at the edges of what a run can bring. */
const ODD: Readonly<Record<string, ReportData>> = {
  'one rank and one step': exampleReport({ losses: { 8: 0.86 }, steps: 1 }),
  'one held-out example': exampleReport({ examples: 1 }),
  'no base': exampleReport({ base: null }),
  'a base that is better': exampleReport({ base: 0.4 }),
  'equal ranks': exampleReport({ losses: { 1: 0.8, 2: 0.8 }, base: 0.8, noise: 0 }),
  'a rank that diverged': exampleReport({ losses: { 1: NaN, 2: 0.9, 4: 0.8 } }),
  'a base that is not finite': exampleReport({ base: Infinity }),
  'a huge loss': exampleReport({ losses: { 1: 1e9, 2: 12_345.678 }, base: 1e12 }),
  'every rank up to 64': exampleReport({
    losses: Object.fromEntries(Array.from({ length: 64 }, (_, i) => [i + 1, 1 - i / 100])),
    steps: 3000,
  }),
  'no sizes': {
    ...example,
    ranks: { ...example.ranks!, ranks: example.ranks!.ranks.map((row) => ({ ...row, adapterBytes: null })) },
  },
  'nothing held out': { ...example, ranks: null, evaluations: [] },
  'full training': {
    ...example,
    ranks: null,
    heldOut: { loss: 2.5, standardError: NaN, perplexity: 12.18 },
    steps: example.steps.map((step) => ({ ...step, ranks: [] })),
  },
  'no steps': { ...example, steps: [] },
  'only skipped steps': {
    ...example,
    steps: [
      { step: 1, loss: NaN, ranks: [1] },
      { step: 2, loss: Infinity, ranks: [2] },
    ],
  },
  'a skipped step among others': {
    ...example,
    steps: example.steps.map((step, i) => (i === 40 ? { ...step, loss: NaN } : step)),
  },
  'equal losses': { ...example, steps: [1, 2, 3].map((step) => ({ step, loss: 0, ranks: [1] })) },
  'one evaluation': { ...example, evaluations: example.evaluations!.slice(0, 1) },
  'evaluations of full training': {
    ...example,
    evaluations: [1, 2, 3].map((step) => ({
      step,
      byRank: [{ rank: null, loss: 3 / step }],
      bestRank: null,
      aurac: null,
    })),
  },
  'evaluations that diverged': {
    ...example,
    evaluations: [1, 2, 3].map((step) => ({
      step,
      byRank: [
        { rank: 1, loss: step === 2 ? NaN : 1 },
        { rank: 2, loss: NaN },
      ],
      bestRank: step === 2 ? null : 1,
      aurac: NaN,
    })),
  },
  'no finite evaluation': {
    ...example,
    evaluations: [1, 2].map((step) => ({
      step,
      byRank: [{ rank: 1, loss: Infinity }],
      bestRank: null,
      aurac: null,
    })),
  },
  'other ranks in a later process': {
    ...example,
    evaluations: [
      { step: 1, byRank: [{ rank: 1, loss: 2 }], bestRank: 1, aurac: 0.1 },
      {
        step: 2,
        byRank: [
          { rank: 2, loss: 1 },
          { rank: 4, loss: 1 },
        ],
        bestRank: 2,
        aurac: 0.2,
      },
    ],
  },
  'long texts': {
    ...example,
    model: 'm'.repeat(500),
    samples: {
      prompts: [
        {
          prompt: 'word '.repeat(5000),
          byRank: [
            { rank: 1, text: '' },
            { rank: null, text: 'x'.repeat(5000) },
          ],
        },
      ],
    },
  },
  'sizes with a rank for each layer': { ...example, budgets: exampleBudgets(example.ranks!) },
  'one size': {
    ...example,
    budgets: {
      ...exampleBudgets(example.ranks!),
      budgets: exampleBudgets(example.ranks!).budgets.slice(0, 1),
    },
  },
  'sizes that diverged': {
    ...example,
    budgets: {
      rows: 1,
      smallestNotWorse: [],
      budgets: exampleBudgets(example.ranks!).budgets.map((row) => ({ ...row, loss: NaN, adapterBytes: 0 })),
    },
  },
  'nothing at all': {
    model: '',
    dataset: null,
    settings: [],
    steps: [],
    ranks: null,
    samples: { prompts: [] },
    notes: [],
    nextCommand: null,
  },
};

/** The example where rank 1 is better than the base, and the best rank cannot be told from it or is worse. */
function besides(outcome: 'better' | 'worse'): NonNullable<ReportData['ranks']> {
  const ranks = example.ranks!;
  const [first, ...others] = ranks.ranks;
  const versus = (mean: number, pValue: number) => ({ ...first.versusBase!, mean, pValue });
  const unsure = outcome === 'better' ? versus(-0.01, 0.5) : versus(0.01, 0.001);
  const rows = others.map((row) => ({ ...row, versusBase: unsure }));
  return { ...ranks, ranks: [{ ...first, versusBase: versus(-0.01, 0.001) }, ...rows] };
}

const documentOf = (page: string) => parseHTML(page).document;
const textOf = (element: { readonly textContent: string | null } | null): string =>
  (element?.textContent ?? '').replace(/\s+/g, ' ').trim();

/**
 * What is wrong with a piece of XML: the first tag that is not closed, not quoted or out of place; null where
 * nothing is.
 */
function markupFault(markup: string): string | null {
  const open: string[] = [];
  for (const [tag, close, name, attributes] of markup.matchAll(/<(\/?)([\w:-]+)([^<>]*)>/g)) {
    if (close) {
      if (open.pop() !== name) return tag;
    } else if (!/^(\s+[\w:-]+="[^"<]*")*\s*\/?$/.test(attributes!)) return tag;
    else if (!attributes!.endsWith('/')) open.push(name!);
  }
  return open.at(-1) ?? /&(?!amp;|lt;|gt;|quot;|#39;)/.exec(markup)?.[0] ?? null;
}

describe('the check of markup', () => {
  it.each(['<p>', '<p></b>', '<p class=x></p>', '<p>a & b</p>', '<svg><path d="M0 0"></svg>', '</p>'])(
    'finds the fault of %s',
    (markup) => {
      expect(markupFault(markup)).not.toBeNull();
    },
  );
});

describe('the report', () => {
  it('shows each rank and the base as a row of figures', () => {
    const rows = [...documentOf(renderReport(example)).querySelectorAll('tbody tr')].map(textOf);
    expect(rows).toHaveLength(8);
    expect(rows[0]).toMatch(/^base\s*1\.930/);
    for (const [i, rank] of [1, 2, 4, 8, 16, 32, 64].entries())
      expect(rows[i + 1]).toMatch(new RegExp(`^${rank}\\s*0\\.\\d{3} ± 0\\.\\d{3}`));
    expect(rows.at(-1)).toMatch(/19\.5 MB\s*best$/);
  });

  it('answers before anything else: the rank to take, its size, what it gains', () => {
    const page = documentOf(renderReport(example));
    const { smallestGoodRank, bestRank } = example.ranks!;
    expect(smallestGoodRank).toBeLessThan(bestRank);
    expect(textOf(page.querySelector('h1'))).toBe(`Rank ${smallestGoodRank} is enough`);
    expect([...page.querySelectorAll('.tile .value')].map(textOf)).toEqual([
      String(bestRank),
      String(smallestGoodRank),
      '9.8 MB',
      '−1.106',
    ]);
  });

  it('names the best rank, the smallest good one and the base inside the chart', () => {
    const chart = textOf(documentOf(renderReport(example)).querySelector('.wide svg'));
    for (const label of [
      'rank 64: best',
      `rank ${example.ranks!.smallestGoodRank}: smallest not worse`,
      'base without adapter: 1.930',
    ])
      expect(chart).toContain(label);
  });

  it.each([
    [exampleReport({ base: 0.4 }), 'Every rank is worse than the base'],
    [
      exampleReport({ base: 0.81, losses: { 1: 0.81, 2: 0.809 } }),
      'No rank differs significantly from the base',
    ],
    [exampleReport({ losses: { 1: 0.99, 2: 0.7 } }), 'Rank 2 is the best, and every smaller rank is worse'],
    [exampleReport({ losses: { 1: 0.7, 2: 0.9 } }), 'Rank 1, the smallest, is already the best'],
    [exampleReport({ losses: { 8: 0.86 } }), 'Rank 8 lowers the loss from 1.930 to 0.860'],
    [ODD['one held-out example'], 'Rank 64 has the lowest loss, but one example cannot tell ranks apart'],
    [ODD['nothing held out'], 'Nothing was held out'],
    [ODD['full training'], 'Held-out loss 2.500'],
    [{ ...example, ranks: besides('better') }, 'Rank 64 does not differ significantly from the base'],
    [{ ...example, ranks: besides('worse') }, 'Rank 64 is worse than the base'],
  ])('says what the data say (%#)', (data, headline) => {
    expect(textOf(documentOf(renderReport(data)).querySelector('h1'))).toBe(headline);
  });

  it('shows the training loss only, where nothing was held out', () => {
    const page = documentOf(renderReport(ODD['nothing held out']));
    expect(page.querySelectorAll('table')).toHaveLength(0);
    expect([...page.querySelectorAll('.wide svg')].map((chart) => chart.getAttribute('aria-label'))).toEqual([
      'Training loss over the steps',
    ]);
  });

  it(
    'shows how the best rank moved over the steps, and has no such drawing where the run was judged less ' +
      'than twice',
    () => {
      const page = documentOf(renderReport(example));
      const drawing = [...page.querySelectorAll('.wide svg')].find((svg) =>
        /best rank at each/.test(svg.getAttribute('aria-label') ?? ''),
      )!;
      const moved = example
        .evaluations!.map(({ bestRank }) => bestRank)
        .filter((rank, i, all) => rank !== all[i - 1]);
      expect(moved.length).toBeGreaterThan(1);
      expect(textOf(page.body)).toContain(`Best rank: ${moved.join(' → ')}.`);
      expect(drawing.querySelectorAll('.evaluated')).toHaveLength(7 + 1);
      expect(renderReport(ODD['one evaluation'])).not.toContain('Ranks over the steps');
    },
  );

  it('says which size with a rank for each layer is not worse than the recommended rank', () => {
    const budgets = exampleBudgets(example.ranks!);
    const leadOf = (changes: Partial<typeof budgets>): string => {
      const page = documentOf(renderReport({ ...example, budgets: { ...budgets, ...changes } }));
      const heading = [...page.querySelectorAll('h2')].find((h2) => textOf(h2) === 'Loss over bytes')!;
      return textOf(heading.nextElementSibling);
    };
    const notWorseAt = (i: number | null) =>
      budgets.smallestNotWorse.map((equal) => ({
        ...equal,
        budgetBytes: i === null ? null : budgets.budgets[i]!.budgetBytes,
      }));
    expect(leadOf({ smallestNotWorse: notWorseAt(0) })).toBe(
      'With a rank for each layer, 0.3 MB are not worse than rank 32 at every layer, which takes 9.8 MB, ' +
        'as far as 200 examples can tell.',
    );
    expect(leadOf({ smallestNotWorse: notWorseAt(null) })).toBe(
      'Every measured size with a rank for each layer is worse than rank 32 at every layer, which takes ' +
        '9.8 MB.',
    );
    expect(leadOf({ smallestNotWorse: [] })).toBe('One held-out example cannot tell sizes apart.');
  });

  it('says "not worse" of the size that was found so, and nothing of larger ones', () => {
    const budgets = exampleBudgets(example.ranks!);
    const smallestNotWorse = budgets.smallestNotWorse.map((equal) => ({
      ...equal,
      budgetBytes: budgets.budgets[1].budgetBytes,
    }));
    const page = documentOf(renderReport({ ...example, budgets: { ...budgets, smallestNotWorse } }));
    const verdicts = [...page.querySelectorAll('tr.sized .verdict')].map(textOf);
    expect(verdicts.slice(0, 3)).toEqual(['worse than every rank', 'not worse than rank 64', '']);
  });

  it('compares no rank with a base whose loss is not finite', () => {
    const ranks = example.ranks!;
    const base = { ...ranks.base!, loss: Infinity, standardError: NaN, perplexity: Infinity };
    const rows = ranks.ranks.map((row) => ({
      ...row,
      versusBase: row.versusBase && { ...row.versusBase, mean: NaN, pValue: NaN },
    }));
    const page = textOf(
      documentOf(renderReport({ ...example, ranks: { ...ranks, base, ranks: rows } })).querySelector('h1'),
    );
    expect(page).not.toMatch(/base/);
  });

  it('says how near the learning rate was to the edge, and offers a finish with its price', () => {
    const text = textOf(documentOf(renderReport(example)).querySelector('body'));
    expect(text).toContain('2e-3, 1.5 times the default for this model (1.3e-3).');
    expect(text).toContain('To get more from rank 32 alone (15 steps, 10 % of the run, about 50 seconds):');
    expect(text).toContain('npx qdylora finish runs/smol --rank 32');
    expect(renderReport({ ...example, rate: null, finish: null })).not.toMatch(/finish|learning rate \d/i);
  });

  it('gives the reason for samples that are missing', () => {
    expect(renderReport({ ...example, samples: { missing: 'The model has no tokenizer.' } })).toContain(
      'No samples. The model has no tokenizer.',
    );
  });

  it('lets no text from outside become markup', () => {
    const page = renderReport({
      model: HOSTILE,
      dataset: HOSTILE,
      settings: [{ name: HOSTILE, value: HOSTILE }],
      steps: example.steps,
      ranks: exampleRanks(),
      notes: [HOSTILE],
      nextCommand: HOSTILE,
      samples: { prompts: [{ prompt: HOSTILE, expected: HOSTILE, byRank: [{ rank: 1, text: HOSTILE }] }] },
    });
    expect(page).not.toMatch(/<script|<img|\0|\p{Surrogate}/iu);
    expect(page.match(/&lt;script&gt;/g)!.length).toBeGreaterThanOrEqual(9);
    expect(renderReport({ ...example, samples: { missing: HOSTILE } })).not.toMatch(/<script|<img/i);
  });

  it('gives equal bytes for equal data', () => {
    expect(renderReport(exampleReport())).toBe(renderReport(example));
  });
});

describe.each(Object.entries({ 'a common run': example, ...ODD }))('the report of %s', (_, data) => {
  const page = renderReport(data);

  it('needs nothing from elsewhere', () => {
    expect(page).not.toMatch(
      /https?:|url\(|@import|\s(src|href|xlink:href|srcset)=|<(script|link|iframe|object|embed)\b/i,
    );
  });

  it('is well-formed, its drawings too', () => {
    expect(
      markupFault(
        page
          .replace(/^<!doctype html>/, '')
          .replace(/<style>[\s\S]*<\/style>/, '')
          .replace(/<meta ([^>]*?)\s*\/?>/g, '<meta $1/>'),
      ),
    ).toBeNull();
    for (const [drawing] of page.matchAll(/<svg[\s\S]*?<\/svg>/g))
      expect(drawing).not.toMatch(/="[^"]*(–|NaN|Infinity|e[+-]\d)[^"]*"/);
  });

  it('never shows a number that is none', () => {
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object|\bnull\b/);
  });
});
