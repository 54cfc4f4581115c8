export { BAD_ROW_POLICIES, type BadRowPolicy } from './dataset/bad-rows.ts';
export {
  BUILT_IN_TEMPLATES,
  BUILT_IN_TEMPLATE_NAMES,
  type BuiltInTemplate,
} from './template/built-in-templates.ts';
export { countCopies } from './count-copies.ts';
export { createBatches, splitIntoMicroBatches, type BatchOptions, type Batches } from './batching/batches.ts';
export {
  createChatTemplate,
  type ChatTemplate,
  type ChatTemplateOptions,
  type RenderOptions,
} from './template/chat-template.ts';
export type { ChatMessage } from './template/chat-message.ts';
export type { SharedBatches, StepShare } from './batching/share-step.ts';
export { DATASET_FORMATS, type DatasetFormat } from './dataset/dataset-format.ts';
export { alpacaPrompt } from './formats/alpaca.ts';
export { encodeSequenceStart } from './formats/label-exchange.ts';
export { questionPrompt } from './formats/question-answer.ts';
export { answerCharacters, type Conversation, type Span } from './template/answer-characters.ts';
export { labelConversation, type ConversationOptions } from './labels/label-conversation.ts';
export { datasetBytes, type DatasetOptions } from './dataset/dataset-options.ts';
export { type DatasetReport } from './dataset/dataset-report.ts';
export {
  DROP_REASONS,
  keepExample,
  noRowsYet,
  reasonsText,
  type LabelledRow,
  type RowCounts,
} from './dataset/keep-example.ts';
export { loadDataset, readLabelledRows, type Dataset } from './dataset/load-dataset.ts';
export { openDataset, type OpenDatasetOptions, type StreamedDataset } from './dataset/open-dataset.ts';
export { loadTokenizer, type TokenizerFiles } from './tokenizer/load-tokenizer.ts';
export { type Tokenizer } from './tokenizer/tokenizer.ts';
export { maskPreview, type PreviewOptions } from './labels/mask-preview.ts';
export { maskPrompt, type LabelledTokens, type Piece } from './labels/mask-prompt.ts';
export { packSequences } from './batching/pack-sequences.ts';
export { readJsonl, type JsonlRow } from './rows/read-jsonl.ts';
export { expandGlobs } from './file-names/expand-globs.ts';
export { assertRegularFile } from './rows/read-lines.ts';
export { readPlainText } from './rows/read-plain-text.ts';
export { sharedFiles } from './file-names/shared-files.ts';
export { type SpecialTokens } from './tokenizer/special-tokens.ts';
export {
  firstExample,
  mixSources,
  sourceOf,
  type ExampleSource,
  type WeightedSource,
} from './stream/example-source.ts';
export { permuteIndex } from './stream/permute-index.ts';
export { tokenWeights, type TokenWeight } from './labels/token-weights.ts';
export { yieldToEvents, type AbortedWork } from './yield-to-events.ts';
export { textWindows } from './text-windows.ts';
export {
  assertExamples,
  collate,
  countPredicted,
  NOT_COUNTED,
  type Example,
  type TokenBatch,
} from './token-batch.ts';
export { createRowTemplate, type RowTemplate } from './template/row-template.ts';
export { ExactNumber } from './rows/json/exact-number.ts';
export { parseExactJson } from './rows/json/parse-exact-json.ts';
export { readRowValues, type RowValues } from './rows/read-row-values.ts';
export { areEqual } from './jinja/python/operators.ts';
export { jsonText } from './jinja/python/json-text.ts';
export { pythonRegex } from './jinja/python/python-regex.ts';
export { capitalized, floatText, PYTHON_SPACE, pythonText, stripped } from './jinja/python/python-text.ts';
export {
  itemsOf,
  kindOf as pythonKindOf,
  numberOf,
  PythonFloat,
  templateValue,
  Tuple,
  type Dict as PythonDict,
  type Value as PythonValue,
} from './jinja/python/values.ts';
