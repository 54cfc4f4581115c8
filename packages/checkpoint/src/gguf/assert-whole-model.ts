import { QdyloraError } from '@qdylora/contract';
import type { GgufFile } from './file/read-gguf.ts';

/** What a file can be besides a model, by `general.type`, and what to do about it. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  adapter: 'Name its base with --model; an adapter is read as PEFT writes it, with --adapter.',
  mmproj: 'Choose the file of the language model beside it.',
  imatrix: 'Choose the file of the model that it was measured on.',
};

/**
 * @throws QdyloraError UNSUPPORTED for one file of several, and for what is no model: an adapter, a projector
 * of images, statistics.
 */
export function assertWholeModel(path: string, { metadata }: Pick<GgufFile, 'metadata'>): void {
  const refuse = (problem: string, nextStep: string): QdyloraError =>
    new QdyloraError('UNSUPPORTED', {
      where: 'gguf',
      problem: `${path}: ${problem}`,
      nextStep,
      details: { path },
    });
  const parts = metadata.get('split.count');
  const kind = metadata.get('general.type') ?? (metadata.has('adapter.type') ? 'adapter' : 'model');
  if (typeof parts === 'number' && parts > 1)
    throw refuse(
      `the file is one of ${parts} parts, but only a whole model in one file is supported`,
      'Join them with llama.cpp: llama-gguf-split --merge.',
    );
  if (kind === 'model') return;
  throw refuse(
    `the file is of the kind ${JSON.stringify(String(kind).slice(0, 80))}, not a model`,
    OTHER_KINDS[String(kind)] ?? 'Choose the file of a model.',
  );
}
