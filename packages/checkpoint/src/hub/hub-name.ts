import { QdyloraError, shownValue } from '@qdylora/contract';

/** A repository on the hub: `org/name`, at a branch, tag or commit. */
export interface HubName {
  readonly repository: string;
  readonly revision: string;
}

const PART = '[A-Za-z0-9][\\w.-]{0,95}';
const NAME = new RegExp(`^(${PART}/${PART})(?:@(.+))?$`);
/** Valid revisions: branches, tags, commits and `refs/pr/1`. A revision becomes a path in the cache. */
const REVISION = /^[A-Za-z0-9][\w.-]*(?:\/[A-Za-z0-9][\w.-]*){0,4}$/;
const LONGEST_REVISION = 200;

/**
 * True if a text has the form of a name on the hub, `org/name[@revision]`; a relative path may have it
 * too.
 */
export const isHubName = (text: string): boolean => NAME.test(text);

/** Parses a name. @throws QdyloraError BAD_ARGUMENT for anything but `org/name[@revision]`. */
export function parseHubName(text: string): HubName {
  const [, repository, revision = 'main'] = (typeof text === 'string' && NAME.exec(text)) || [];
  if (
    repository !== undefined &&
    !repository.includes('..') &&
    !repository.includes('--') &&
    REVISION.test(revision) &&
    !revision.includes('..') &&
    revision.length <= LONGEST_REVISION
  )
    return { repository, revision };
  throw new QdyloraError('BAD_ARGUMENT', {
    where: 'hub',
    problem: `A repository on the hub must be named org/name or org/name@revision (got ${shownValue(text)}).`,
    nextStep: 'Write the name as its page shows it.',
  });
}

/** What a repository holds; the hub has an address of its own for each kind. */
export type RepositoryKind = 'models' | 'datasets';

/** A repository of a kind, at a revision. */
export interface HubSource extends HubName {
  readonly kind: RepositoryKind;
}
