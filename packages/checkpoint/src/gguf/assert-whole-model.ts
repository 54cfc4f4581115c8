import { QdyloraError } from '@qdylora/contract';
import type { GgufFile } from './file/read-gguf.ts';

/** Kinds of files other than models, by `general.type`, and what to do about them. */
const OTHER_KINDS: Readonly<Record<string, string>> = {
  adapter: 'Name its base with --model; an adapter is read as PEFT writes it, with --adapter.',
  mmproj: 'Choose the file of the language model beside it.',
  imatrix: 'Choose the file of the model that it was measured on.',
};

/**
 * Checks that a file is one whole model. @throws QdyloraError UNSUPPORTED for a part of a split model, and
 * for other kinds: an adapter, an image projector, statistics.
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
