import { snakeCased } from '@qdylora/contract';
import type { TrainEvent } from '@qdylora/trainer';
import * as z from 'zod';

/**
 * The lines of `events.jsonl`, one schema for each type of event. `events.schema.json` of this package is the
 * same as JSON Schema. It is stable: within a major version, fields and types of lines may be added; none is
 * removed or changes its meaning.
 */

const whole = (about: string) => z.int().min(0).describe(about);
const number = (about: string) => z.number().describe(about);
/** Null where the number is not finite, which JSON cannot express. */
const finiteOrNull = (about: string) =>
  z.number().nullable().describe(`${about}; null if it is infinite or not a number`);
const step = whole('Optimizer steps done: the first step has 1');
const rank = z.int().min(1).nullable();

const plan = z
  .object({
    type: z.literal('plan'),
    total_steps: whole('Steps of the whole run'),
    steps_per_epoch: whole('Steps of one epoch'),
    start_step: whole('Steps done before this process: 0, or the step from which a run was resumed'),
    resumed_from: z.string().nullable().describe('The checkpoint from which the run was resumed'),
    previous_total_steps: z
      .int()
      .min(0)
      .nullable()
      .describe('Steps that the run was planned for before, if total_steps has changed'),
    events_offset: whole('Number of events of the run when that checkpoint was written'),
    trainable_count: whole('Number of trainable parameters'),
    optimizer_bytes: whole('Gradients and optimizer state in memory'),
    optimizer_paged_bytes: whole('Optimizer state on pages'),
  })
  .describe('The start of a process, and its plan. A resumed run has one for each process');

const stepLine = z
  .object({
    type: z.literal('step'),
    step,
    epoch: whole('Epochs completed before this step'),
    loss: finiteOrNull('Mean over the counted tokens of the step, in nats'),
    smoothed_loss: finiteOrNull('Moving average of the loss over about ten steps'),
    rank: rank.describe('The drawn rank; null without adapters'),
    ranks: z.array(z.int().min(1)).describe('The different ranks that the step trained, largest first'),
    level: z.int().min(1).optional().describe('Bits per weight of the base; missing in a run of one level'),
    student_level: z
      .int()
      .min(1)
      .optional()
      .describe('The other level of a step with further passes that learn from the largest rank'),
    learning_rate: number('Of this step'),
    loss_scale: number('Factor on the loss; missing in a run without loss scaling').optional(),
    grad_norm: finiteOrNull('Global norm of the gradient before clipping'),
    tokens: whole('Tokens that went through the model'),
    tokens_per_second: number('tokens / step_seconds'),
    step_seconds: number('Wall time'),
    resident_bytes: whole('Memory of the whole process'),
    optimizer_resident_bytes: whole('Optimizer state in memory'),
    optimizer_paged_bytes: whole('Optimizer state on pages'),
    page_ins: whole('Pages that the step loaded'),
    page_wait_seconds: number('Part of step_seconds spent on moving pages'),
  })
  .describe('One optimizer step');

const evaluation = z
  .object({
    type: z.literal('eval'),
    step,
    by_rank: z
      .array(
        z.object({
          rank: rank.describe('null: a model without adapters'),
          loss: finiteOrNull('Held-out loss at this rank, in nats per token'),
        }),
      )
      .describe('The evaluated ranks, in increasing order'),
    best_rank: rank.describe('The rank of the lowest loss'),
    aurac: finiteOrNull(
      'Area under the rank curve: mean gain over the base, over log2 of the rank; null also if the base ' +
        'was not evaluated',
    ),
    score: finiteOrNull('The score that decides which evaluation is the best: lower is better'),
    is_best: z.boolean().describe('The lowest score so far'),
  })
  .describe('One evaluation on held-out rows');

const checkpoint = z
  .object({
    type: z.literal('checkpoint'),
    path: z.string().describe('The folder'),
    step,
    kind: z
      .enum(['step', 'best'])
      .describe('step: everything that is needed to resume; best: the adapter of the best evaluation'),
  })
  .describe('A checkpoint is durable');

const warning = z
  .object({
    type: z.literal('warning'),
    code: z
      .enum([
        'NON_FINITE_LOSS',
        'NO_TOKENS',
        'DAMAGED_CHECKPOINT',
        'WRITE_FAILED',
        'NON_FINITE_WEIGHTS',
        'STALE_LOCK',
        'DISK_FULL',
        'OTHER_KERNELS',
        'OTHER_SUMS',
        'OTHER_EVALUATION',
        'SUPERSEDED_BEST',
        'UNSORTED_ROWS',
      ])
      .describe('The kind of warning, for programs'),
    message: z.string().describe('The warning as a sentence'),
    step,
  })
  .describe('Something went wrong, and the run continues');

const done = z
  .object({
    type: z.literal('done'),
    result: z.object({
      step,
      final_loss: finiteOrNull('Of the last step that changed something'),
      tokens: whole('Tokens that went through the model, over all processes of the run'),
      skipped_steps: whole('Steps that changed nothing'),
      seconds: number('Wall time of this process'),
      best: z
        .object({ step, score: finiteOrNull('Its score') })
        .nullable()
        .describe('The best evaluation'),
      stopped_by: z
        .enum(['early_stopping', 'callback'])
        .nullable()
        .describe('What ended the run before its last step'),
      checkpoint: z.string().nullable().describe('The newest checkpoint'),
    }),
  })
  .describe('The end of the training');

const lines = [plan, stepLine, evaluation, checkpoint, warning, done] as const;

/** One line of `events.jsonl`. */
export const eventLine = z.discriminatedUnion('type', lines);
export type EventLine = z.infer<typeof eventLine>;

/** An event as its line: a step without `total_steps`, which is in the plan. */
export function eventJson(event: TrainEvent): unknown {
  if (event.type !== 'step') return snakeCased(event);
  const { totalSteps: _, ...fields } = event;
  return snakeCased(fields);
}

/** The lines of a log that this version knows. Others, and an incomplete line, are left out. */
export const readEventLines = (text: string): EventLine[] =>
  text.split('\n').flatMap((line) => {
    const { success, data } = eventLine.safeParse(jsonOf(line));
    return success ? [data] : [];
  });

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/** The schema as JSON Schema (2020-12). Fields that a later version adds are allowed. */
export function eventLineJsonSchema(): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(eventLine, { io: 'input' });
  return { $schema, $id: 'urn:qdylora:events:1', title: 'A line of events.jsonl', ...schema };
}

type SnakeCase<S extends string> = S extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeCase<Rest>}`
  : S;

/** A record as `snakeCased` writes it. */
type SnakeCased<T> = T extends readonly (infer Item)[]
  ? SnakeCased<Item>[]
  : T extends number
    ? T | null
    : T extends object
      ? { [K in keyof T as SnakeCase<K & string>]: SnakeCased<T[K]> }
      : T;

/** The line of an event: of a step without `total_steps`, which is in the plan. */
type LineOf<E extends TrainEvent> = E extends { type: 'step' }
  ? SnakeCased<Omit<E, 'totalSteps'>>
  : SnakeCased<E>;

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type FieldsOf<Line, Type> = keyof Extract<Line, { type: Type }>;

/**
 * A check by the compiler: the schema and the events of the trainer have the same types and fields, and every
 * value that the schema allows is a value of the event.
 */
type Agree = {
  [Type in TrainEvent['type'] | EventLine['type']]: Same<
    FieldsOf<EventLine, Type>,
    FieldsOf<LineOf<TrainEvent>, Type>
  > extends true
    ? [Extract<EventLine, { type: Type }>] extends [LineOf<Extract<TrainEvent, { type: Type }>>]
      ? true
      : never
    : never;
};
const agrees: Agree = { plan: true, step: true, eval: true, checkpoint: true, warning: true, done: true };
void agrees;

/** A check by the compiler: the schema has every code of a warning. */
type WarningCode = Extract<TrainEvent, { type: 'warning' }>['code'];
const hasEachCode: [WarningCode] extends [Extract<EventLine, { type: 'warning' }>['code']] ? true : never =
  true;
void hasEachCode;
