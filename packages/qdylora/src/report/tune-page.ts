import type { TriedCandidate } from '../recipes/tune/halve-candidates.ts';
import type { TuneResult } from '../recipes/tune/tune-result.ts';
import { tuneChart, type TuneChartData, type TuneCurve } from './charts/tune-chart.ts';
import { html, type Html } from './html.ts';
import { htmlPage } from './html-page.ts';
import { countOf, lossText } from './number-text.ts';
import { twoWidths } from './sections/two-widths.ts';

const WIDTH = 1000;

/** The search for a learning rate as one page that needs neither network nor script. */
export function tunePage(result: TuneResult): string {
  const { model, learningRate, loraAlpha, previousRate, spentSteps, notes } = result;
  const data = chartData(result);
  const alpha = loraAlpha === null ? '' : `, alpha ${loraAlpha}`;
  return htmlPage({
    title: `Learning rate ${learningRate.toExponential()}`,
    body: html`<p class="subject">${model}</p>
      <h1>Learning rate ${learningRate.toExponential()}${alpha}</h1>
      <p class="lead">
        It was ${previousRate.toExponential()}. The search took ${countOf(spentSteps, 'optimizer step')}.
      </p>
      <section>
        <figure>${twoWidths((width) => tuneChart(data, width), WIDTH)}</figure>
      </section>
      ${result.candidates.length > 0 ? candidateSection(result) : null}
      <section>${notes.map((note) => html`<p>${note}</p>`)}</section>`,
  });
}

function chartData(result: TuneResult): TuneChartData {
  const { learningRate: chosen, method, range } = result;
  if (method === 'range_test')
    return { chosen, lossName: 'training loss', curves: [{ name: 'smoothed', points: range }] };
  return { chosen, lossName: 'held-out loss', curves: roundCurves(result) };
}

/** One curve for each round, of the candidates with the chosen alpha that had not diverged. */
function roundCurves({ candidates, loraAlpha }: TuneResult): TuneCurve[] {
  const shown = candidates.filter((candidate) => loraAlpha === null || candidate.loraAlpha === loraAlpha);
  const steps = [...new Set(shown.flatMap(({ history }) => history.map(({ step }) => step)))];
  return steps
    .sort((a, b) => a - b)
    .map((step) => ({
      name: `after ${countOf(step, 'step')}`,
      points: shown.flatMap(({ learningRate, hasDiverged, history }) =>
        history.flatMap((one, i) =>
          one.step === step && !(hasDiverged && i === history.length - 1)
            ? [{ learningRate, loss: one.loss }]
            : [],
        ),
      ),
    }))
    .filter(({ points }) => points.length > 0);
}

const COLUMNS = ['rate', 'alpha', 'steps', 'held-out loss', ''];

function candidateRow(candidate: TriedCandidate, isChosen: boolean): Html {
  const { learningRate, loraAlpha, steps, loss, hasDiverged } = candidate;
  const cells = [
    learningRate.toExponential(),
    String(loraAlpha),
    String(steps),
    lossText(loss),
    isChosen ? 'chosen' : hasDiverged ? 'diverged' : '',
  ];
  const [rate, ...others] = cells;
  return html`<tr role="row" class="rate">
    <th role="rowheader" scope="row">${rate}</th>
    ${others.map((cell, i) => html`<td role="cell" data-name="${COLUMNS[i + 1]!}">${cell}</td>`)}
  </tr>`;
}

function candidateSection(result: TuneResult): Html {
  const { candidates, learningRate, loraAlpha, startLoss, judgedRows, judgedRanks } = result;
  const isChosen = (candidate: TriedCandidate): boolean =>
    candidate.learningRate === learningRate && candidate.loraAlpha === (loraAlpha ?? candidate.loraAlpha);
  return html`<section>
    <h2>Candidates</h2>
    <table role="table">
      <thead role="rowgroup">
        <tr role="row">${COLUMNS.map((name) => html`<th role="columnheader" scope="col">${name}</th>`)}</tr>
      </thead>
      <tbody role="rowgroup">
        ${candidates.map((candidate) => candidateRow(candidate, isChosen(candidate)))}
      </tbody>
    </table>
    <p class="caption">
      Mean over ranks ${judgedRanks.join(', ')} on ${countOf(judgedRows, 'held-out row')}; before any step
      ${startLoss === null ? '–' : lossText(startLoss)}. Losses after different numbers of steps do not
      compare.
    </p>
  </section>`;
}
