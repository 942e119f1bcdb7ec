import type { SecretPurpose } from '../../shared/platform/secret-source.ts';
import type { SecretValue } from '../../shared/platform/secrets-manager-source.ts';

/** What an operator wants to change of one secret. */
export interface SecretChange {
  readonly purpose: SecretPurpose;
  /** A new key, which becomes the newest; null leaves the keys. */
  readonly key: { readonly keyId: string | null; readonly value: string } | null;
  /** A new path token; null leaves it. */
  readonly pathToken: string | null;
  /** Keys that stay live, the new one included. */
  readonly keep: number;
}

/** The secret after the change. A key that is there already moves to the front instead of standing twice. */
export function changeSecret(current: SecretValue | null, change: SecretChange): SecretValue {
  const { key } = change;
  const others = (current?.keys ?? []).filter((each) => each.value !== key?.value);
  return {
    keys: (key === null ? others : [key, ...others]).slice(0, change.keep),
    pathToken: change.pathToken ?? current?.pathToken ?? null,
  };
}
