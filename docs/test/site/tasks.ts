import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import type { Site } from './open-site.ts';

/** What a newcomer wants, and how it is found. */
interface Task {
  readonly question: string;
  /** The address that the search must have among its first results. */
  readonly target: string;
  /** Links to click from the landing page. */
  readonly clicks: readonly string[];
  /** Text of the last page that answers the question. */
  readonly answer: string | RegExp;
}

const FIRST_RESULTS = 3;

const TASKS: readonly Task[] = [
  {
    question: 'train on my JSONL',
    target: '/start/own-data.html',
    clicks: ['Your own data'],
    answer: /qdylora train --model [\s\S]+ --dataset rows\.jsonl/,
  },
  {
    question: 'which rank',
    target: '/decide/method-and-preset.html#which-rank',
    clicks: ['Which rank?'],
    answer: /smallest rank that is not significantly worse/,
  },
  {
    question: 'does Falcon-40b fit 32 GB',
    target: '/decide/will-it-fit.html',
    clicks: ['Will it fit?'],
    answer: /Falcon-40b\s*30\.\d GB\s*–\s*–\s*–\s*fits/,
  },
  {
    question: 'use rank 8 in llama.cpp',
    target: '/do/use-elsewhere.html#llama-cpp',
    clicks: ['PEFT, vLLM and llama.cpp', 'llama.cpp'],
    answer: /llama-cli -m \S+ --lora/,
  },
  {
    question: 'what does error BAD_ROW mean',
    target: '/reference/errors.html#bad-row',
    clicks: ['Errors'],
    answer: /BAD_ROW\s*does not exist: use BAD_DATA/,
  },
];

/** Five tasks of a newcomer, by the search and by links. */
export function taskCases(site: () => Site): void {
  it.each(TASKS)('a newcomer finds $question by the search', async ({ question, target }) => {
    await using visit = await site().visit('index');
    const { page } = visit;
    await page.keyboard.press('Control+k');
    await page.locator('.VPLocalSearchBox input').fill(question);
    await page.locator('.VPLocalSearchBox a.result').first().waitFor();
    const links = await page
      .locator('.VPLocalSearchBox a.result')
      .evaluateAll((all) => all.map((link) => link.getAttribute('href')!));
    expect(links.slice(0, FIRST_RESULTS).filter((link) => link.startsWith(target))).not.toEqual([]);
  });

  it.each(TASKS)('a newcomer finds $question by links', async ({ clicks, answer }) => {
    await using visit = await site().visit('index');
    for (const link of clicks) await clickLink(visit.page, link);
    await visit.page.locator('.vp-doc', { hasText: answer }).waitFor();
  });
}

const clickLink = (page: Page, name: string): Promise<void> =>
  page.getByRole('link', { name, exact: true }).first().click();
