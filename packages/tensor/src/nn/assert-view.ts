import { assertArgument, shownValue } from '@qdylora/contract';

/**
 * Refuses what is no model at a rank: where `active` is not there, as in all that attaching made, the base
 * alone would run without a word.
 *
 * @throws QdyloraError BAD_ARGUMENT with what to give instead
 */
export function assertView(where: string, view: unknown): void {
  const { model, active } = (typeof view === 'object' && view !== null ? view : {}) as {
    readonly model?: unknown;
    readonly active?: unknown;
  };
  assertArgument(
    typeof model === 'object' && model !== null,
    where,
    `this must be a model at a rank, { model, active } (got ${shownKind(view)})`,
    view instanceof Promise ? 'Await it first.' : ADVICE,
  );
  const isRank =
    active === null ||
    (typeof active === 'object' && Number.isSafeInteger((active as { readonly rank?: unknown }).rank));
  assertArgument(
    isRank,
    where,
    `this must be a model at a rank, { model, active } (got ` +
      `${active === undefined ? 'one without active' : `${shownValue(active)} for active`})`,
    ADVICE,
  );
}

const ADVICE =
  'Of an adapted model give adapted.atRank(8), or adapted.base() for the model without its adapter; of any ' +
  'other { model, active: null }.';

/** A model is too long to be shown. */
const shownKind = (view: unknown): string =>
  view instanceof Promise
    ? 'a promise'
    : typeof view === 'object' && view !== null
      ? 'an object without model'
      : shownValue(view);
