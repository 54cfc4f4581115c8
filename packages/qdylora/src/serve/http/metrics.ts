import type { EngineUsage } from '@qdylora/models';
import type { TextEvent } from '../../recipes/text/decode-text.ts';

/** Counts what a server does, for Prometheus. */
export interface Metrics {
  addRequest(route: string, status: number, seconds: number): void;
  /** Counts a prompt once, however many answers it gets. */
  addPrompt(tokens: number): void;
  /** The same events, with their tokens counted. */
  counted(events: AsyncIterable<TextEvent>): AsyncIterable<TextEvent>;
  /** Prometheus' text format. */
  text(engine: EngineUsage, memory: { readonly liveBytes: number; readonly reservedBytes: number }): string;
}

export function createMetrics(): Metrics {
  const requests = new Map<string, number>();
  const seconds = new Map<string, number>();
  const totals = { promptTokens: 0, answerTokens: 0, answers: 0 };
  const add = (to: Map<string, number>, labels: string, amount: number): void => {
    to.set(labels, (to.get(labels) ?? 0) + amount);
  };
  return {
    addRequest(route, status, duration) {
      add(requests, `route="${route}",status="${status}"`, 1);
      add(seconds, `route="${route}"`, duration);
    },
    addPrompt(tokens) {
      totals.promptTokens += tokens;
    },
    async *counted(events) {
      for await (const event of events) {
        if (event.type === 'end') {
          totals.answers++;
          totals.answerTokens += event.tokens;
        }
        yield event;
      }
    },
    text(engine, memory) {
      const lines: string[] = [];
      const metric = (name: string, type: 'counter' | 'gauge', help: string, values: [string, number][]) => {
        lines.push(`# HELP qdylora_${name} ${help}`, `# TYPE qdylora_${name} ${type}`);
        for (const [labels, value] of values)
          lines.push(`qdylora_${name}${labels && `{${labels}}`} ${value}`);
      };
      const one = (value: number): [string, number][] => [['', value]];
      metric('http_requests_total', 'counter', 'Requests by route and status.', [...requests]);
      metric('http_request_seconds_total', 'counter', 'Seconds of requests, to their end.', [...seconds]);
      metric('answers_total', 'counter', 'Answers that were written to their end.', one(totals.answers));
      metric('prompt_tokens_total', 'counter', 'Tokens of prompts.', one(totals.promptTokens));
      metric('answer_tokens_total', 'counter', 'Tokens of answers.', one(totals.answerTokens));
      metric('drafted_tokens_total', 'counter', 'Tokens of drafts.', one(engine.draftedTokens));
      metric(
        'accepted_tokens_total',
        'counter',
        'Tokens of drafts that were kept.',
        one(engine.acceptedTokens),
      );
      metric('passes_total', 'counter', 'Forward passes.', one(engine.passes));
      metric('running_requests', 'gauge', 'Answers that are being written.', one(engine.running));
      metric('waiting_requests', 'gauge', 'Answers that wait for a place.', one(engine.waiting));
      metric(
        'kv_tokens',
        'gauge',
        'Tokens for which keys and values are reserved.',
        one(engine.reservedTokens),
      );
      metric('kv_tokens_capacity', 'gauge', 'Tokens for which there is room.', one(engine.capacityTokens));
      metric('memory_live_bytes', 'gauge', 'Bytes of live arrays.', one(memory.liveBytes));
      metric('memory_reserved_bytes', 'gauge', 'Bytes reserved from the system.', one(memory.reservedBytes));
      return `${lines.join('\n')}\n`;
    },
  };
}
