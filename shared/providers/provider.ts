import type { z } from 'zod';
import type { ActionKind, Json, PurchaseOrder } from '../core/action.ts';
import type { Money } from '../core/money.ts';
import type { Finding, Outcome, RefusalClass } from '../core/outcome.ts';
import type { ProviderOrder } from '../core/provider-order.ts';
import type { ProviderId, Subject } from '../core/subject.ts';
import type { DurationMs, EpochMs } from '../core/time.ts';
import type { EventFacts, WebhookEvent } from '../core/webhook-event.ts';
import type { Random } from '../platform/random.ts';
import type { Secret, Verification } from '../signing/index.ts';
import type { Callback } from './callback.ts';
import type { OpenHttp } from './http-client.ts';

/** One live key: what it is called (where the scheme names keys) and its value. */
export interface NamedSecret {
  readonly keyId: string | null;
  readonly secret: Secret;
}

/** One fact that a callback reports, before it is stored. */
export interface CallbackFact {
  readonly facts: EventFacts;
  /** The provider's own name or code, verbatim and never empty. */
  readonly providerType: string;
  readonly subject: Subject | null;
  readonly occurredAt: EpochMs | null;
  /**
   * What makes this fact the same fact when it is delivered again: a delivery id where the scheme has one,
   * else the content. Never holds a signature or a nonce.
   */
  readonly identity: string;
  /** False when nothing in `identity` tells this month's fact from last month's. */
  readonly identityIsUnique: boolean;
}

export type CallbackReading =
  | { readonly ok: true; readonly facts: readonly CallbackFact[] }
  | {
      readonly ok: false;
      readonly reason: 'not-json' | 'not-an-object' | 'duplicate-key' | 'too-many-facts';
      readonly detail: string;
    };

/** The receiving half of a provider: pure functions, safe to import where cold starts count. */
export interface CallbackSide {
  readonly id: ProviderId;
  /** Headers kept as evidence: those that the signature covers or that identify the delivery. */
  readonly evidenceHeaders: readonly string[];
  /** True when this message carries no signature at all, so that `unsigned` is a possible proof. */
  isUnsigned(callback: Callback): boolean;
  verify(callback: Callback, keys: readonly NamedSecret[], options: VerifyOptions): Verification;
  read(callback: Callback, context: ReadContext): CallbackReading;
  /** Body and content type of a good answer, unless the stage sets them. */
  readonly acknowledgement: Acknowledgement;
}

export interface VerifyOptions {
  readonly now: EpochMs;
  /** Named variants that are accepted; null accepts every documented reading. */
  readonly variants: readonly string[] | null;
  readonly maxAge: DurationMs;
  readonly maxFuture: DurationMs;
}

export interface ReadContext {
  /** Currency of amounts that come without one. */
  readonly currency: string;
}

export interface Acknowledgement {
  readonly contentType: string;
  readonly body: string;
}

/** What is known about a provider's behaviour in time. Each figure has its source at the declaration. */
export interface ProviderProfile {
  readonly requestsPerSec: number;
  /** Calls in flight at once over all workers; null where the provider names no limit. */
  readonly connectionsMax: number | null;
  readonly requestsPerDay: number | null;
  /** How long after the last byte left an order may still appear in the provider's records. */
  readonly lateCommit: DurationMs;
  /** Whole paid call, connect to last byte. */
  readonly callTimeout: DurationMs;
  /** How far the provider's clock may be off ours. */
  readonly clockSkew: DurationMs;
}

/** What must be known before a paid call: read-only questions, no money. */
export type Preparation =
  | {
      readonly kind: 'ready';
      /** What the provider's records show now; kept with the action so that a lost answer can be told from the past. */
      readonly baseline: Json;
      /** The provider's price now; null where it can't be asked. */
      readonly quote: Money | null;
    }
  | { readonly kind: 'impossible'; readonly code: string; readonly message: string }
  | {
      readonly kind: 'unavailable';
      readonly code: string;
      readonly message: string;
      readonly retryAfter: DurationMs | null;
      /** Set when the account itself was refused: counted like a refused purchase, since every SIM will meet it. */
      readonly refusal?: Exclude<RefusalClass, 'business'>;
    };

export interface PurchaseQuery {
  readonly order: PurchaseOrder;
  readonly baseline: Json;
  readonly sentWindow: { readonly first: EpochMs; readonly last: EpochMs };
  /** How long after the last byte the stage lets an order appear; the records are searched at least so far. */
  readonly lateCommit: DurationMs;
  /** Provider orders of this SIM that the ledger ties to other actions. */
  readonly knownOrderIds: ReadonlySet<string>;
}

/** Whether the provider's records bear out what an unsigned callback claims. */
export type Confirmation =
  | { readonly kind: 'confirmed'; readonly detail: string }
  | { readonly kind: 'denied'; readonly detail: string }
  | {
      readonly kind: 'unavailable';
      readonly code: string;
      readonly message: string;
      readonly retryAfter: DurationMs | null;
    };

export type OrderPage =
  | { readonly kind: 'page'; readonly orders: readonly ProviderOrder[]; readonly nextCursor: string | null }
  | {
      readonly kind: 'unavailable';
      readonly code: string;
      readonly message: string;
      readonly retryAfter: DurationMs | null;
    };

/** The calling half of a provider. No method retries, follows redirects, or throws for what the provider does. */
export interface ProviderClient {
  /** Paid. Sends at most one request, ever, and none after `startBy`. */
  purchase(order: PurchaseOrder, startBy: EpochMs): Promise<Outcome>;
  /**
   * Paid. One request for several SIMs that get the same plan, and one outcome for each order, in their order; else as
   * `purchase`. An answer that can't be laid on one SIM for certain is unknown for that SIM. Null for a provider that
   * takes one SIM per call.
   */
  readonly purchaseTogether:
    | ((orders: readonly PurchaseOrder[], startBy: EpochMs) => Promise<readonly Outcome[]>)
    | null;
  prepare(order: PurchaseOrder): Promise<Preparation>;
  findPurchase(query: PurchaseQuery): Promise<Finding>;
  confirm(event: WebhookEvent): Promise<Confirmation>;
  listOrders(subject: Subject, cursor: string | null): Promise<OrderPage>;
  /** A read-only call that shows whether address, keys and allow-list are right. */
  probe(): Promise<{ readonly ok: boolean; readonly detail: string }>;
}

/**
 * Asked before each request that costs no money: takes a slot of the account's limits, which all workers share.
 * `release` gives the connection back and is called when the request is over.
 */
export type Admit = () => Promise<
  | { readonly ok: true; readonly release: () => Promise<void> }
  | { readonly ok: false; readonly retryAfter: DurationMs; readonly why: string }
>;

export interface ClientDeps<Settings> {
  readonly settings: Settings;
  readonly currency: string;
  /** API keys, newest first; asked for at each call so that a rotation needs no restart. */
  readonly apiSecrets: () => Promise<readonly NamedSecret[]>;
  readonly now: () => EpochMs;
  readonly random: Random;
  /** Whole call, connect to last byte; the stage may set it otherwise than the profile. */
  readonly callTimeout: DurationMs;
  /** Passed by every request but the paid one, whose slot is taken before the claim. */
  readonly admit: Admit;
  /** How requests leave; real connections unless a simulation brings its own. */
  readonly openHttp?: OpenHttp;
}

/** A client with the connections that it owns. */
export interface OpenClient extends ProviderClient {
  close(): Promise<void>;
}

/** A provider is one record of this shape in the registry. */
export interface Provider<Settings = unknown> {
  readonly id: ProviderId;
  readonly callbacks: CallbackSide;
  /** Names of the signature variants that `callbacks.verify` knows. Here, since receive checks none and must stay small. */
  readonly callbackVariants: readonly string[];
  readonly profile: ProviderProfile;
  /** Most SIMs that one paid call takes, for the kinds of action that can share one. */
  readonly simsPerCall: Readonly<Partial<Record<ActionKind, number>>>;
  /** The provider's part of a stage file: base URL, account, variants. */
  readonly settingsSchema: z.ZodType<Settings>;
  /** What a rule must say to buy; null for kinds of action that the provider doesn't have. */
  readonly planSchemas: Readonly<Record<ActionKind, z.ZodType<{ readonly [key: string]: Json }> | null>>;
  createClient(deps: ClientDeps<Settings>): OpenClient;
}
