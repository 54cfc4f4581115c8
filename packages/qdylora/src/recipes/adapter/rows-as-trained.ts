import type { AdapterSidecar } from './adapter-sidecar.ts';
import type { Warn } from '../hooks.ts';

/** How rows are read, in the keys of the commands that evaluate. */
interface RowReading {
  readonly applyChatTemplate: boolean;
}

/** Rows of prompts and answers are evaluated as the adapter was trained on them. */
export const rowsAsTrained = ({ prompt }: AdapterSidecar): RowReading => ({
  applyChatTemplate: prompt?.apply_chat_template ?? false,
});

/** Says where the rows are read in another way than in training. */
export function noticeOtherRows(
  sidecar: AdapterSidecar | null,
  { applyChatTemplate }: RowReading,
  notice: Warn,
): void {
  if (!sidecar?.prompt || rowsAsTrained(sidecar).applyChatTemplate === applyChatTemplate) return;
  notice(
    `The adapter was trained with apply_chat_template: ${!applyChatTemplate}. Here it is ` +
      `${applyChatTemplate}, so the rows are written in another way than in training.`,
  );
}
