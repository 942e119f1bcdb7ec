import type { ProviderId } from '../core/subject.ts';
import type { NamedSecret } from '../providers/provider.ts';
import type { Secret } from '../signing/index.ts';

/** What the secrets are for: callbacks are verified with some, calls are signed with others. */
export type SecretPurpose = 'callback' | 'api';

/** A provider's live keys for one purpose, newest first; two or more while a rotation is under way. */
export interface SecretSet {
  readonly keys: readonly NamedSecret[];
  /** The unguessable last part of the callback path; null where the stage asks for none. */
  readonly pathToken: Secret | null;
}

/** Where secrets come from. Values are cached for a bounded time by the implementation. */
export interface SecretSource {
  read(provider: ProviderId, purpose: SecretPurpose): Promise<SecretSet>;
  /**
   * Reads anew at once, since a signature failed that a fresh key might prove; answers null when it was read
   * moments ago, so that forged callbacks can't be used to run up calls.
   */
  reread(provider: ProviderId, purpose: SecretPurpose): Promise<SecretSet | null>;
}
