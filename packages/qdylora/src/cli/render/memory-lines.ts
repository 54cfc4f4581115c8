import { byteSizeText } from '../../config/values/byte-size.ts';
import type { MemoryEvent } from '../../recipes/run-folder/finetune-events.ts';
import type { MemoryForecast, MemoryParts } from '../../recipes/memory-plan/memory-forecast.ts';

/** `memory: will need about 748 MB: Node and the program 88.1 MB, kernels 3.1 MB, …` */
export const forecastLines = (forecast: MemoryForecast): string[] => [
  `memory${ofGpu(forecast)}: will need about ${byteSizeText(forecast.totalBytes)}${partsText(forecast)}`,
  ...processLines(forecast, 'will need about'),
];

/** The measured peak, and the error of the forecast. */
export function memoryLines(event: MemoryEvent): string[] {
  const { totalBytes, forecastBytes } = event;
  const needed = byteSizeText(totalBytes);
  const forecastError =
    forecastBytes === null
      ? ''
      : ` (the forecast, ${byteSizeText(forecastBytes)}, was ${offText(forecastBytes / totalBytes - 1)})`;
  return [
    `memory${ofGpu(event)}: peak ${needed}${forecastError}${partsText(event)}`,
    ...processLines(event, 'peak'),
  ];
}

const ofGpu = ({ process }: MemoryForecast): string => (process ? ' of the GPU' : '');

/** The process beside a GPU. */
const processLines = ({ process }: MemoryForecast, verb: string): string[] =>
  process ? [`memory of the process: ${verb} ${byteSizeText(process.totalBytes)}${partsText(process)}`] : [];

function partsText({ parts }: MemoryParts): string {
  const shown = parts
    .filter(({ bytes }) => bytes > 0)
    .map(({ part, bytes }) => `${part} ${byteSizeText(bytes)}`);
  return shown.length > 0 ? `: ${shown.join(', ')}` : '';
}

const offText = (share: number): string =>
  `${Math.abs(100 * share).toFixed(1)} % too ${share < 0 ? 'low' : 'high'}`;
