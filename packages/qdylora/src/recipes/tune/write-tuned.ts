import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { canonicalJson, createFolder, writeFileDurably } from '@qdylora/checkpoint';
import { QdyloraError, snakeCased } from '@qdylora/contract';
import { setYamlValues } from '../../config/yaml/set-yaml-values.ts';
import { tunePage } from '../../report/tune-page.ts';
import { assertCanWrite, runPaths } from '../run-folder/output-folder.ts';
import type { TuneFiles, TuneResult } from './tune-result.ts';

/** Found before a search, which takes long.  @throws QdyloraError WRITE_FAILED */
export function assertRunFileWritable(runFile: string): void {
  try {
    accessSync(runFile, constants.W_OK);
    accessSync(dirname(resolve(runFile)), constants.W_OK | constants.X_OK); // it is replaced as a whole
  } catch (cause) {
    throw new QdyloraError('WRITE_FAILED', {
      where: runFile,
      problem: `The chosen rate cannot be written into it: ${(cause as Error).message}`,
      nextStep: 'Make the file and its folder writable, or tune a copy of it.',
      cause,
    });
  }
}

/** The same for the folder of the plot.  @throws QdyloraError WRITE_FAILED */
export function assertPlotFits(outputDir: string): void {
  assertCanWrite(outputDir);
  if (!existsSync(outputDir) || statSync(outputDir).isDirectory()) return;
  throw new QdyloraError('WRITE_FAILED', {
    where: 'output_dir',
    problem: `${outputDir} is a file, and the plot needs a folder`,
    nextStep: 'Choose another output_dir.',
    details: { path: outputDir },
  });
}

/** Writes `tune/tune.json`, `tune/tune.html`, and the chosen values into the run file. */
export async function writeTuned(
  outputDir: string,
  runFile: string | null,
  result: TuneResult,
): Promise<TuneFiles> {
  const { tune: folder } = runPaths(outputDir);
  const files = { json: join(folder, 'tune.json'), html: join(folder, 'tune.html'), yaml: runFile };
  createFolder(folder);
  writeFileDurably(files.json, [Buffer.from(canonicalJson(snakeCased(result)))]);
  writeFileDurably(files.html, [Buffer.from(tunePage(result))]);
  if (runFile !== null) {
    const { learningRate, loraAlpha } = result;
    const text = await setYamlValues(readFileSync(runFile, 'utf8'), {
      learning_rate: rateText(learningRate),
      ...(loraAlpha !== null && { lora_alpha: String(loraAlpha) }),
    });
    writeFileDurably(runFile, [Buffer.from(text)]);
  }
  return files;
}

/** `2e-4` */
export const rateText = (rate: number): string => rate.toExponential();
