import { byteSizeText } from '../../config/byte-size.ts';
import type { MemoryEvent } from '../../recipes/run-folder/finetune-events.ts';
import type { MemoryForecast } from '../../recipes/memory-plan/forecast-memory.ts';

/** `memory: will need 748 MB: Node and the program 88.1 MB, kernels 3.1 MB, …` */
export const forecastLines = (forecast: MemoryForecast): string[] => [
  `memory: will need ${byteSizeText(forecast.totalBytes)} at most${partsText(forecast)}`,
];

/** What it came to, and how far the forecast was from it. */
export function memoryLines(event: MemoryEvent): string[] {
  const { totalBytes, forecastBytes } = event;
  const off =
    forecastBytes === null
      ? ''
      : ` (forecast ${byteSizeText(forecastBytes)}, ${percentText(forecastBytes / totalBytes - 1)})`;
  return [`memory: needed ${byteSizeText(totalBytes)} at most${off}${partsText(event)}`];
}

function partsText({ parts }: MemoryForecast): string {
  const shown = parts
    .filter(({ bytes }) => bytes > 0)
    .map(({ part, bytes }) => `${part} ${byteSizeText(bytes)}`);
  return shown.length > 0 ? `: ${shown.join(', ')}` : '';
}

const percentText = (share: number): string =>
  `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)} %`;
