import type { Money } from './money.ts';
import type { DurationMs } from './time.ts';

/** Why a provider said no, as far as it matters for what happens next. */
export type RefusalClass =
  /** This SIM, plan or request: another SIM may still succeed. */
  | 'business'
  /** The account has no money: every SIM will be refused. */
  | 'wallet-empty'
  /** The account may not call at all: keys, permissions, IP allow-list. */
  | 'account';

/**
 * The code of an unknown outcome whose answer says that an order with our number exists. Records that don't show it are
 * late or wrong: they can't prove its absence.
 */
export const orderExists = 'order-exists';

/** The code of a question that our own gate held back: no provider has failed, and its slot is promised. */
export const notAdmitted = 'not-admitted';

/** What one paid call came to. Anything after the bytes may have left that isn't a clear answer is `unknown`. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly providerOrderId: string | null; readonly charge: Money | null }
  | {
      readonly kind: 'refused';
      readonly refusal: RefusalClass;
      readonly code: string;
      readonly message: string;
    }
  /** Certainly not executed. `burnsAttempt` is false for rate limits, which are nobody's failure. */
  | {
      readonly kind: 'retryable';
      readonly code: string;
      readonly message: string;
      readonly retryAfter: DurationMs | null;
      readonly burnsAttempt: boolean;
    }
  | {
      readonly kind: 'unknown';
      readonly code: string;
      readonly message: string;
      /** What the answer says of the account, where it proves nothing about this SIM. */
      readonly refusal?: Exclude<RefusalClass, 'business'>;
    };

/** Why a call gave no usable answer. */
export type CallFailure = Exclude<Outcome, { kind: 'succeeded' }>;

/** What the provider's own records say of a purchase whose answer was lost. */
export type Finding =
  | {
      readonly kind: 'found';
      readonly providerOrderId: string;
      readonly charge: Money | null;
      readonly how: string;
    }
  /** The records were read to their end and hold no such order. Whether that proves absence depends on the time. */
  | { readonly kind: 'absent' }
  /** Several orders could be ours, or one can't be told apart. Never guessed: parked. */
  | { readonly kind: 'ambiguous'; readonly candidates: readonly string[]; readonly why: string }
  /** The question itself failed; nothing is known. */
  | {
      readonly kind: 'unavailable';
      readonly code: string;
      readonly message: string;
      readonly retryAfter: DurationMs | null;
    };
