import type { Money } from './money.ts';
import type { Subject } from './subject.ts';
import type { EpochMs } from './time.ts';

export const actionKinds = ['renew', 'order', 'order-ota'] as const;
export type ActionKind = (typeof actionKinds)[number];

/** Plain JSON, for provider-specific data that the core carries but does not read. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What is to be bought: fixed when the action is decided, the same in every attempt. */
export interface PurchaseOrder {
  readonly actionId: string;
  readonly kind: ActionKind;
  readonly subject: Subject;
  /** Fields of the provider's plan schema, as the rule gives them. */
  readonly plan: { readonly [key: string]: Json };
  /** The caller's order number: at most 32 characters of [0-9a-f], derived from the action id. */
  readonly reference: string;
  /** The provider order that the causing event names, for calls that extend an order. */
  readonly targetOrderId: string | null;
  readonly maxCost: Money;
}

/** Why an action stopped and waits for a human. */
export type ParkReason =
  | 'cap-exceeded'
  | 'price-above-max'
  | 'several-candidates'
  | 'cannot-verify'
  | 'attempts-exhausted'
  | 'claim-not-confirmed'
  | 'invalid-plan'
  | 'rule-removed'
  | 'price-unknown'
  | 'operator';

/** Where an action stands. Every state but the last four is open and carries what it needs to go on. */
export type ActionState =
  | { readonly name: 'planned'; readonly dueAt: EpochMs }
  | { readonly name: 'held'; readonly reason: string }
  /** A worker may be calling. When the lease runs out, the outcome is unknown, never "failed". */
  | { readonly name: 'running'; readonly leaseUntil: EpochMs; readonly startedAt: EpochMs }
  | { readonly name: 'unknown'; readonly code: string; readonly verifyAt: EpochMs }
  | { readonly name: 'verifying'; readonly leaseUntil: EpochMs; readonly code: string }
  | {
      readonly name: 'parked';
      readonly reason: ParkReason;
      readonly detail: string;
      readonly mayHaveBought: boolean;
    }
  | { readonly name: 'succeeded'; readonly providerOrderId: string | null; readonly adopted: boolean }
  | { readonly name: 'refused'; readonly code: string; readonly message: string }
  | { readonly name: 'cancelled'; readonly reason: string };

export type ActionStateName = ActionState['name'];

/** Money of one action: the sum of its ledger rows, kept beside them so that a check can compare. */
export interface ActionMoney {
  readonly currency: string;
  readonly reservedMinor: number;
  readonly chargedMinor: number;
  readonly refundedMinor: number;
}

export interface SentWindow {
  readonly first: EpochMs;
  readonly last: EpochMs;
}

/** One intended provider call that may cost money. */
export interface Action extends PurchaseOrder {
  readonly ruleId: string;
  /** Digest of the rules that decided it. */
  readonly policyVersion: string;
  readonly eventId: string;
  /** 1 for the action an event causes by itself; higher only for a deliberate second purchase by an operator. */
  readonly generation: number;
  readonly correlationId: string;
  readonly createdAt: EpochMs;
  readonly state: ActionState;
  /** When the state began. */
  readonly stateSince: EpochMs;
  /** Grows with each claim; a worker that holds an older number can't write. */
  readonly fence: number;
  /** Attempts that count against the limit; rate limits don't. */
  readonly attemptsBurned: number;
  /** Paid attempts written down so far, whatever came of them. */
  readonly attempts: number;
  /** Questions asked about the present unknown outcome. */
  readonly verifications: number;
  /**
   * First and last moment at which a paid request of this action may have left whose fate the provider has not told;
   * null while there is none: then nothing of this action can exist at the provider.
   */
  readonly sentWindow: SentWindow | null;
  /** The window as it was before the attempt that is running: what it falls back to when that one certainly bought nothing. */
  readonly doubtBefore: SentWindow | null;
  /** When the records were first read whole without our order since the last send; null until then. */
  readonly absentSince: EpochMs | null;
  /** What the provider's records showed before the first attempt: what `prepare` returned. */
  readonly baseline: Json;
  /**
   * What the questions before the call were answered, while it is fresh and only a slot of the account's limits is
   * missing: asking anew each time would use up the very slots that the call waits for.
   */
  readonly prepared: { readonly until: EpochMs; readonly baseline: Json } | null;
  /** True when the event is unsigned: the provider must confirm the fact before any money moves. */
  readonly needsConfirmation: boolean;
  readonly money: ActionMoney;
  /** Every booking, oldest first: only ever added to. */
  readonly ledger: readonly LedgerEntry[];
  /** Every try, oldest first, the latest `attemptLogMax` of them. */
  readonly attemptLog: readonly Attempt[];
  /** UTC hour of the day (`05`), day and month whose counters hold this action's reservation or charge; null when none do. */
  readonly capPeriod: { readonly hour: string; readonly day: string; readonly month: string } | null;
}

const openStates: ReadonlySet<ActionStateName> = new Set([
  'planned',
  'held',
  'running',
  'unknown',
  'verifying',
]);

/** True while simhook itself still has work to do or a human to wait for before the first call. */
export function isOpen(state: ActionState): boolean {
  return openStates.has(state.name);
}

/** True while the action keeps other paid actions off its SIM: open, or parked with a purchase that may exist. */
export function holdsSim(state: ActionState): boolean {
  return isOpen(state) || (state.name === 'parked' && state.mayHaveBought);
}

/** When the sweep must look at it again; null for states that wait for a human or are over. */
export function dueAt(state: ActionState): EpochMs | null {
  switch (state.name) {
    case 'planned':
      return state.dueAt;
    case 'running':
    case 'verifying':
      return state.leaseUntil;
    case 'unknown':
      return state.verifyAt;
    case 'held':
    case 'parked':
    case 'succeeded':
    case 'refused':
    case 'cancelled':
      return null;
    default: {
      const never: never = state;
      throw new Error(`unknown state: ${JSON.stringify(never)}`);
    }
  }
}

/** Tries kept with an action; with at most a few paid attempts, only old questions can fall off. */
export const attemptLogMax = 60;

/** `corrected` takes back the part of an estimated charge that the provider did not charge. */
export type LedgerKind = 'reserved' | 'charged' | 'corrected' | 'released' | 'refunded';

/** One booking. Rows are only ever added. */
export interface LedgerEntry {
  readonly kind: LedgerKind;
  readonly amount: Money;
  readonly at: EpochMs;
  /** True when the provider did not say what it charged, so that the rule's most-it-may-cost stands for it. */
  readonly estimated: boolean;
  readonly note: string;
}

/** One try at an action, written down before the call and completed after it. Holds no secret and no signature. */
export interface Attempt {
  readonly attemptNo: number;
  readonly fence: number;
  readonly kind: 'purchase' | 'verify';
  readonly startedAt: EpochMs;
  readonly endedAt: EpochMs | null;
  /** The outcome's or finding's kind; null while nobody knows, which reads as unknown. */
  readonly result: string | null;
  readonly detail: string;
}
