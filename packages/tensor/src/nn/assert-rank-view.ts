import { assertArgument, shownValue } from '@qdylora/contract';

/**
 * Refuses a value that is no model at a rank. Without this check, a model without `active` would silently run
 * without its adapters.
 *
 * @throws QdyloraError BAD_ARGUMENT with the call that is probably meant
 */
export function assertRankView(where: string, rankView: unknown): void {
  const { model, active } = (typeof rankView === 'object' && rankView !== null ? rankView : {}) as {
    readonly model?: unknown;
    readonly active?: unknown;
  };
  assertArgument(
    typeof model === 'object' && model !== null,
    where,
    `this must be a model at a rank, { model, active } (got ${shownKind(rankView)})`,
    rankView instanceof Promise ? 'Await it first.' : ADVICE,
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
  'Pass `adapted.atRank(8)`, `adapted.base()` for the model without its adapter, or ' +
  '`{ model, active: null }` for a model that has none.';

/** The kind of a value, since a whole model is too long for a message. */
const shownKind = (view: unknown): string =>
  view instanceof Promise
    ? 'a promise'
    : typeof view === 'object' && view !== null
      ? 'an object without model'
      : shownValue(view);
