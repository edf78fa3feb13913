/** What a model reference means: `name`, `org/name`, either with `@revision`. */

export interface HubId {
  /** `org/name`, or `name` for the hub's oldest models. */
  readonly repo: string;
  /** Branch, tag, pull-request reference or commit. */
  readonly revision: string | undefined;
}

const part = /^\w[\w.-]{0,95}$/;
const commit = /^[0-9a-f]{40}$/;

/** The hub id that a reference spells, or undefined when it can only be a path. */
export function parseHubId(ref: string): HubId | undefined {
  const [repo = '', revision, ...rest] = ref.split('@');
  const parts = repo.split('/');
  if (rest.length > 0 || parts.length > 2) return undefined;
  // The hub refuses '..' and '--' too; '--' separates the parts in the cache's folder names.
  if (!parts.every((name) => part.test(name)) || /\.\.|--/.test(repo)) return undefined;
  if (revision !== undefined && !isRevision(revision)) return undefined;
  return { repo, revision };
}

/** Whether a name can be a revision; it becomes a path in the cache, so no empty parts and no dots alone. */
export function isRevision(revision: string): boolean {
  return revision.split('/').every((name) => part.test(name)) && !revision.includes('..');
}

export function isCommit(revision: string): boolean {
  return commit.test(revision);
}
