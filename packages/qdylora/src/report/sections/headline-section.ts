import type { MeasuredLoss } from '@qdylora/eval';
import { byteSizeText } from '../../config/values/byte-size.ts';
import { html, type Html } from '../html.ts';
import { errorText, lossText, perplexityText, signedText } from '../number-text.ts';
import type { RankReading } from '../read-ranks.ts';
import { tasksHeadline } from '../read-tasks.ts';
import type { ReportData } from '../report-data.ts';

/** The main result: which rank to take, its size and its gain. */
export function headlineSection(data: ReportData, reading: RankReading | null): Html {
  const subject = [data.model, data.dataset === null ? null : `tuned on ${data.dataset}`]
    .filter(Boolean)
    .join(', ');
  const { headline, reason } = reading ?? withoutRanks(data);
  return html`<header>
    <p class="subject">${subject}</p>
    <h1>${headline}</h1>
    <p class="lead">${reason}${lossBefore(data)}</p>
    ${reading ? tiles(reading) : null}
  </header>`;
}

/** Of a run that went on with one rank of an adapter: the loss that it began with. */
function lossBefore({ ranks, evaluations = [] }: ReportData): string {
  const [row, ...others] = ranks?.ranks ?? [];
  const first = evaluations.find(({ step }) => step === 0)?.byRank.find(({ rank }) => rank === row?.rank);
  return first && others.length === 0 ? ` Before the first step its loss was ${lossText(first.loss)}.` : '';
}

function withoutRanks({ heldOut, ranks, tasks }: ReportData): {
  readonly headline: string;
  readonly reason: string;
} {
  if (heldOut && Number.isFinite(heldOut.loss))
    return {
      headline: `Held-out loss ${lossText(heldOut.loss)} ${errorText(heldOut.standardError)}`.trim(),
      reason:
        `Perplexity ${perplexityText(heldOut.perplexity)}. The whole model was trained, so there are ` +
        `no ranks to compare.`,
    };
  if (ranks || heldOut)
    return {
      headline: 'No held-out loss is finite',
      reason: 'The training has diverged: train again with a smaller learning rate.',
    };
  if (tasks?.recommendation)
    return {
      headline: tasksHeadline(tasks.recommendation),
      reason: 'The smallest rank that does not differ significantly from the best one is enough.',
    };
  return {
    headline: 'Nothing was held out',
    reason:
      'So this report has only the training loss, and recommends no rank: the loss on training rows does ' +
      'not show which rank is better. Set val_set_size or eval_dataset to compare ranks.',
  };
}

function tiles({ report: { base, examples, ranks }, best, good, decimals }: RankReading): Html {
  const isOne = ranks.length === 1;
  const isSame = best === good;
  const { adapterBytes } = good;
  const largest = ranks.at(-1)!;
  const loss = ({ loss: value, standardError }: typeof best): string =>
    `loss ${lossText(value, decimals)} ${errorText(standardError, decimals)}`.trim();
  const share =
    adapterBytes !== null && largest.adapterBytes && largest !== good
      ? `${Math.max(1, Math.round((100 * adapterBytes) / largest.adapterBytes))} % of rank ` +
        `${largest.rank}’s ${byteSizeText(largest.adapterBytes)}`
      : `at rank ${good.rank}`;
  const goodName = isOne ? 'Rank' : 'Smallest rank not worse';
  const goodLoss = isSame && !isOne ? 'the same one' : loss(good);
  return html`<dl class="tiles">
    ${isOne ? null : tile('Best rank', String(best.rank), loss(best), 'best')}
    ${!isOne && examples < 2 ? null : tile(goodName, String(good.rank), goodLoss, 'smallest-good')}
    ${adapterBytes === null ? null : tile('Its adapter', byteSizeText(adapterBytes), share, '')}
    ${base && againstBaseTile(base, good, decimals)}
  </dl>`;
}

function againstBaseTile(base: MeasuredLoss, good: MeasuredLoss, decimals: number): Html {
  const losses = `loss ${lossText(base.loss, decimals)} → ${lossText(good.loss, decimals)}`;
  const perplexities = `perplexity ${perplexityText(base.perplexity)} → ${perplexityText(good.perplexity)}`;
  const difference = signedText(good.loss - base.loss, decimals);
  return tile('Against the base', difference, `${losses}, ${perplexities}`, '');
}

const tile = (name: string, value: string, about: string, kind: string): Html =>
  html`<div class="tile ${kind}">
    <dt>${name}</dt>
    <dd class="value">${value}</dd>
    <dd class="about">${about}</dd>
  </div>`;
