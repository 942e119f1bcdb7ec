/** Why a callback was not accepted. For logs and `explain`; the caller is never told. */
export type RejectionReason =
  | 'missing-signature'
  | 'malformed-signature'
  | 'wrong-signature'
  | 'unknown-key'
  | 'unsupported-algorithm'
  | 'malformed-timestamp'
  | 'stale-timestamp'
  | 'future-timestamp'
  | 'malformed-body'
  | 'no-secret';

export type Verification =
  | {
      readonly ok: true;
      /** Which reading of the documentation matched, such as `raw-text/digest-bytes`. */
      readonly variant: string;
      /** Index into the keys that were given, so that a rotation can be watched. */
      readonly keyIndex: number;
      /** The signed time in epoch milliseconds; null where the scheme has none. */
      readonly signedAtMs: number | null;
    }
  | { readonly ok: false; readonly reason: RejectionReason; readonly detail: string };

/** Which readings of the documentation are accepted; null accepts every documented one, an empty list none. */
export interface VariantOptions {
  readonly variants: readonly string[] | null;
}
