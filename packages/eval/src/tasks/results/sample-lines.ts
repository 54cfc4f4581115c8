import { itemsOf, jsonText, type PythonDict, type PythonValue } from '@qdylora/data';
import type { ModelRequest } from '../requests/model-request.ts';
import { asValue, type Sample, type TaskScores } from '../scoring/score-task.ts';
import { hashText, strOf } from '../python/text-rules.ts';

const noLimit = (): void => {};

/** SHA-256 of a document, of its first prompt and of its target: equal hashes mean equal requests. */
export interface SampleHashes {
  readonly document: string;
  readonly prompt: string;
  readonly target: string;
}

export function hashesOf({ document: { row, requests, target } }: Sample): SampleHashes {
  const [first] = requests;
  return {
    document: hashText(jsonText(row.value, { indent: 2 }, noLimit)),
    prompt: hashText(first.type === 'loglikelihood_rolling' ? first.text : first.context),
    target: hashText(strOf(target)),
  };
}

/** SHA-256 over the hashes of all samples of a task. */
export const taskHash = ({ samples }: TaskScores): string =>
  hashText(
    samples
      .map(hashesOf)
      .map(({ document, prompt, target }) => document + prompt + target)
      .join(''),
  );

/** The line of a sample in the harness's `samples_<task>_<time>.jsonl`. */
export function sampleLine(sample: Sample): string {
  const { document, filter, responses, filtered, metrics } = sample;
  const hashes = hashesOf(sample);
  const line: PythonDict = new Map<string, PythonValue>([
    ['doc_id', document.id],
    ['doc', document.row.value],
    ['target', strOf(document.target)],
    ['arguments', argumentsOf(document.requests)],
    ['resps', asTexts(responses.map((repeated) => repeated.map(asValue)))],
    ['filtered_resps', asTexts(filtered)],
    ['filter', filter],
    ['metrics', [...metrics.keys()]],
    ['doc_hash', hashes.document],
    ['prompt_hash', hashes.prompt],
    ['target_hash', hashes.target],
    ...metrics,
  ]);
  return jsonText(line, {}, noLimit);
}

function argumentsOf(requests: readonly ModelRequest[]): PythonDict {
  return new Map(
    requests.map((request, i) => [
      `gen_args_${i}`,
      new Map(argumentList(request).map((value, j) => [`arg_${j}`, value])),
    ]),
  );
}

function argumentList(request: ModelRequest): readonly PythonValue[] {
  switch (request.type) {
    case 'loglikelihood':
      return [request.context, request.continuation];
    case 'loglikelihood_rolling':
      return [request.text];
    case 'generate_until':
      return [request.context, request.settings];
  }
}

/** Lists of texts, with all values inside as texts. */
const asTexts = (value: PythonValue): PythonValue => {
  const items = itemsOf(value);
  return items ? items.map(asTexts) : strOf(value);
};
