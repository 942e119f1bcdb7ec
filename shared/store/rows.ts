import { z } from 'zod';
import { type Action, type Attempt, actionKinds, type Json, type LedgerEntry } from '../core/action.ts';
import type { Pool } from '../core/coalesce.ts';
import type { ProviderHealth, StopChange, Switches } from '../core/controls.ts';
import type { Decision } from '../core/decide.ts';
import { lazily } from '../core/lazily.ts';
import type { OrderEnd } from '../core/order-end.ts';
import type { ProviderOrder } from '../core/provider-order.ts';
import type { LimitWindow } from '../core/rate-limit.ts';
import { type Difference, differenceKinds, type OrderWatch } from '../core/reconcile.ts';
import type { Arrivals } from '../core/silence.ts';
import type { SimState } from '../core/sim-state.ts';
import type { DurationMs, EpochMs } from '../core/time.ts';
import { orderStatuses, planWarnings, usageAlerts, type WebhookEvent } from '../core/webhook-event.ts';
import { StoreError } from './errors.ts';
import { damageMember, type Item } from './table.ts';

/**
 * The shapes of what the table holds. A row is parsed each time it is read, so that a row written by another
 * version or by hand is reported with its key instead of steering money. A shape is made when the first such row is
 * read: receive stores a new callback without reading any, and all of them are a sixth of its cold start.
 */

/** One check, which gives the type as well: a row has up to twenty moments, and a transform takes twice as long. */
const moment = lazily(() => z.custom<EpochMs>(isMilliseconds, 'must be whole milliseconds since 1970'));

function isMilliseconds(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

const minor = lazily(() => z.number().int());

const json = lazily((): z.ZodType<Json> => z.custom<Json>(isJson, 'must be JSON'));

/** Rows hold what JSON holds, and bytes, which no field of this kind may be. By hand: a union of six is tried six times. */
function isJson(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return true;
  if (typeof value !== 'object' || value instanceof Uint8Array) return false;
  return Object.values(value).every(isJson);
}

/** Members of free names. z.record parses each name as well, and a SIM's row takes three times as long with it. */
function recordOf<T>(isValue: (value: unknown) => boolean, what: string) {
  const isRecord = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    Object.values(value).every(isValue);
  return z.custom<Readonly<Record<string, T>>>(isRecord, `must be an object whose members are ${what}`);
}

const moments = lazily(() => recordOf<EpochMs>(isMilliseconds, 'whole milliseconds since 1970'));
const wholeNumbers = lazily(() => recordOf<number>(Number.isSafeInteger, 'whole numbers'));

const momentList = lazily(() =>
  z.custom<readonly EpochMs[]>(
    (value) => Array.isArray(value) && value.every(isMilliseconds),
    'must be a list of whole milliseconds since 1970',
  ),
);

const amount = lazily(() => z.object({ amountMinor: z.number().int().min(0), currency: z.string() }));

const subject = lazily(() =>
  z.object({
    provider: z.string(),
    idKind: z.enum(['iccid', 'eid', 'imsi']),
    simId: z.string(),
    key: z.string(),
  }),
);

const order = lazily(() =>
  z.object({
    orderId: z.string().nullable(),
    reference: z.string().nullable(),
    packageCode: z.string().nullable(),
  }),
);

const facts = lazily(() =>
  z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('usage-alert'),
      alert: z.enum(usageAlerts),
      value: z.string().nullable(),
      order: order(),
    }),
    z.object({ kind: z.literal('order-status'), status: z.enum(orderStatuses), order: order() }),
    z.object({ kind: z.enum(['package-ordered', 'package-effective', 'package-stopped']), order: order() }),
    z.object({
      kind: z.literal('refund'),
      order: order(),
      refunded: amount().nullable(),
      refundedText: z.string().nullable(),
    }),
    z.object({ kind: z.literal('recharge'), order: order() }),
    z.object({
      kind: z.literal('plan-reminder'),
      warning: z.enum(planWarnings),
      expiresAt: z.string().nullable(),
    }),
    z.object({ kind: z.literal('sim-status'), status: z.string() }),
    z.object({ kind: z.literal('sms-received'), encoding: z.enum(['text', 'binary', 'unknown']) }),
    z.object({
      kind: z.literal('async-result'),
      requestId: z.string().nullable(),
      operation: z.string().nullable(),
      result: z.string().nullable(),
    }),
    z.object({ kind: z.enum(['card-stopped', 'sim-unlocked', 'sim-moved', 'sms-delivered', 'unknown']) }),
  ]),
);

const proof = lazily(() =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('signed'), scheme: z.string(), variant: z.string() }),
    z.object({ kind: z.literal('unsigned'), why: z.string() }),
    z.object({ kind: z.literal('reconciled'), source: z.string() }),
  ]),
);

const webhookEvent = lazily(
  (): z.ZodType<WebhookEvent> =>
    z.object({
      eventId: z.string(),
      provider: z.string(),
      providerType: z.string(),
      facts: facts(),
      subject: subject().nullable(),
      proof: proof(),
      occurredAt: moment().nullable(),
      receivedAt: moment(),
      correlationId: z.string(),
      callbackId: z.string(),
    }),
);

const verdict = lazily(() =>
  z.discriminatedUnion('verdict', [
    z.object({ ruleId: z.string(), verdict: z.literal('act'), actionId: z.string() }),
    z.object({
      ruleId: z.string(),
      verdict: z.literal('pass'),
      reason: z.enum([
        'disabled',
        'no-match',
        'too-old',
        'own-purchase',
        'no-sim',
        'cooling-down',
        'sim-has-open-action',
        'already-decided',
      ]),
      detail: z.string(),
    }),
  ]),
);

const decision = lazily(
  (): z.ZodType<Decision> =>
    z.object({
      policyVersion: z.string(),
      decidedAt: moment(),
      ownActionId: z.string().nullable(),
      verdicts: z.array(verdict()),
    }),
);

/** The HTTP message as it was received: proof of what was said, and by whom. */
export interface Evidence {
  readonly body: Uint8Array;
  /** The headers that the signature covers or that identify the delivery. */
  readonly headers: Readonly<Record<string, string>>;
  readonly path: string;
}

const evidence = lazily(
  (): z.ZodType<Evidence> =>
    z.object({
      body: z.instanceof(Uint8Array),
      headers: recordOf<string>((value) => typeof value === 'string', 'text'),
      path: z.string(),
    }),
);

/** A stored event with what the rules made of it so far. */
export interface EventRow {
  readonly event: WebhookEvent;
  readonly state: 'recorded' | 'decided';
  /** Every judgement, oldest first: the first one and those of replays. */
  readonly decisions: readonly Decision[];
  /** Kept here when it is small and the callback reports one fact; else in a row of its own. */
  readonly evidence: Evidence | null;
  /** How often the sweep found it unfinished. */
  readonly sweeps: number;
}

const eventRow = lazily(
  (): z.ZodType<EventRow> =>
    z.object({
      event: webhookEvent(),
      state: z.enum(['recorded', 'decided']),
      decisions: z.array(decision()),
      evidence: evidence().nullable(),
      sweeps: z.number().int(),
    }),
);

const actionState = lazily(() =>
  z.discriminatedUnion('name', [
    z.object({ name: z.literal('planned'), dueAt: moment() }),
    z.object({ name: z.literal('held'), reason: z.string() }),
    z.object({ name: z.literal('running'), leaseUntil: moment(), startedAt: moment() }),
    z.object({ name: z.literal('unknown'), code: z.string(), verifyAt: moment() }),
    z.object({ name: z.literal('verifying'), leaseUntil: moment(), code: z.string() }),
    z.object({
      name: z.literal('parked'),
      reason: z.enum([
        'cap-exceeded',
        'price-above-max',
        'several-candidates',
        'cannot-verify',
        'attempts-exhausted',
        'claim-not-confirmed',
        'invalid-plan',
        'rule-removed',
        'price-unknown',
        'operator',
      ]),
      detail: z.string(),
      mayHaveBought: z.boolean(),
    }),
    z.object({ name: z.literal('succeeded'), providerOrderId: z.string().nullable(), adopted: z.boolean() }),
    z.object({ name: z.literal('refused'), code: z.string(), message: z.string() }),
    z.object({ name: z.literal('cancelled'), reason: z.string() }),
  ]),
);

const ledgerEntry = lazily(
  (): z.ZodType<LedgerEntry> =>
    z.object({
      kind: z.enum(['reserved', 'charged', 'corrected', 'released', 'refunded']),
      amount: amount(),
      at: moment(),
      estimated: z.boolean(),
      note: z.string(),
    }),
);

const attempt = lazily(
  (): z.ZodType<Attempt> =>
    z.object({
      attemptNo: z.number().int(),
      fence: z.number().int(),
      kind: z.enum(['purchase', 'verify']),
      startedAt: moment(),
      endedAt: moment().nullable(),
      result: z.string().nullable(),
      detail: z.string(),
    }),
);

const action = lazily(
  (): z.ZodType<Action> =>
    z.object({
      actionId: z.string(),
      kind: z.enum(actionKinds),
      subject: subject(),
      plan: recordOf<Json>(isJson, 'JSON'),
      reference: z.string(),
      targetOrderId: z.string().nullable(),
      maxCost: amount(),
      ruleId: z.string(),
      policyVersion: z.string(),
      eventId: z.string(),
      generation: z.number().int(),
      correlationId: z.string(),
      createdAt: moment(),
      state: actionState(),
      stateSince: moment(),
      fence: z.number().int(),
      attemptsBurned: z.number().int(),
      attempts: z.number().int(),
      verifications: z.number().int(),
      sentWindow: z.object({ first: moment(), last: moment() }).nullable(),
      doubtBefore: z.object({ first: moment(), last: moment() }).nullable(),
      absentSince: moment().nullable(),
      baseline: json(),
      prepared: z.object({ until: moment(), baseline: json() }).nullable(),
      needsConfirmation: z.boolean(),
      money: z.object({
        currency: z.string(),
        reservedMinor: minor(),
        chargedMinor: minor(),
        refundedMinor: minor(),
      }),
      ledger: z.array(ledgerEntry()),
      attemptLog: z.array(attempt()),
      capPeriod: z.object({ hour: z.string(), day: z.string(), month: z.string() }).nullable(),
    }),
);

/** An action with the notes that operators left on it. */
export interface ActionRow {
  readonly action: Action;
  readonly notes: readonly OperatorNote[];
  readonly sweeps: number;
}

/** Who did what to an action by hand, when and why. */
export interface OperatorNote {
  readonly at: EpochMs;
  readonly by: string;
  readonly did: string;
  readonly reason: string;
}

const operatorNote = lazily(
  (): z.ZodType<OperatorNote> =>
    z.object({
      at: moment(),
      by: z.string(),
      did: z.string(),
      reason: z.string(),
    }),
);

const actionRow = lazily(
  (): z.ZodType<ActionRow> =>
    z.object({
      action: action(),
      notes: z.array(operatorNote()),
      sweeps: z.number().int(),
    }),
);

const simState = lazily(
  (): z.ZodType<SimState> =>
    z.object({
      simKey: z.string(),
      openActionId: z.string().nullable(),
      cooldowns: moments(),
      committedMinor: wholeNumbers(),
      claimedAt: momentList(),
      lastSettledAt: moment().nullable(),
    }),
);

const stop = lazily(() => z.object({ since: moment(), by: z.string(), reason: z.string() }));
const switches = lazily(
  (): z.ZodType<Switches> =>
    z.object({
      all: stop().nullable(),
      providers: z.record(z.string(), stop()),
      rules: z.record(z.string(), stop()),
    }),
);

/** Changes of the stops, oldest first. */
export interface StopHistoryRow {
  readonly changes: readonly StopChange[];
}

const stopHistory = lazily(
  (): z.ZodType<StopHistoryRow> =>
    z.object({
      changes: z.array(
        z.object({
          at: moment(),
          by: z.string(),
          did: z.enum(['paused', 'resumed', 'freed']),
          what: z.string(),
          reason: z.string(),
        }),
      ),
    }),
);

const providerHealth = lazily(
  (): z.ZodType<ProviderHealth> =>
    z.object({
      provider: z.string(),
      refusalsInARow: z.number().int(),
      stopped: z.object({ since: moment(), code: z.string(), retryAt: moment() }).nullable(),
    }),
);

const limitWindow = lazily(
  (): z.ZodType<LimitWindow> =>
    z.object({
      grants: momentList(),
      day: z.string(),
      dayCount: z.number().int(),
      inFlight: moments(),
      promisedUntil: moment(),
      // Rows of older versions have none.
      promisedAgainUntil: moment().default(0 as EpochMs),
    }),
);

const pool = lazily((): z.ZodType<Pool> => z.object({ members: z.array(z.string()), closesAt: moment() }));

const orderTie = lazily(() => z.object({ actionId: z.string() }));
const capSums = wholeNumbers;

/** A callback that was refused with 401, kept as evidence for a while. */
export interface QuarantinedRow {
  readonly quarantineId: string;
  readonly provider: string;
  /** Why it was refused, as in the log. */
  readonly reason: string;
  readonly detail: string;
  readonly receivedAt: EpochMs;
  readonly evidence: Evidence;
  /** Set once it was verified after all and its events were stored. */
  readonly admitted: {
    readonly at: EpochMs;
    readonly by: string;
    readonly eventIds: readonly string[];
  } | null;
}

const quarantined = lazily(
  (): z.ZodType<QuarantinedRow> =>
    z.object({
      quarantineId: z.string(),
      provider: z.string(),
      reason: z.string(),
      detail: z.string(),
      receivedAt: moment(),
      evidence: evidence(),
      admitted: z.object({ at: moment(), by: z.string(), eventIds: z.array(z.string()) }).nullable(),
    }),
);

const orderEnd = lazily(
  (): z.ZodType<OrderEnd> =>
    z.object({
      eventId: z.string(),
      at: moment(),
      exact: z.boolean(),
      reconciled: z.boolean(),
    }),
);

/** A difference between the provider's records and ours. */
export interface FindingRow extends Difference {
  readonly findingId: string;
  readonly provider: string;
  readonly simKey: string;
  readonly simId: string;
  readonly firstSeenAt: EpochMs;
  readonly state:
    | { readonly name: 'open' }
    /** `by` is `reconcile` when the difference went away or was mended, else the operator who closed it. */
    | { readonly name: 'resolved'; readonly at: EpochMs; readonly by: string; readonly how: string };
}

const finding = lazily(
  (): z.ZodType<FindingRow> =>
    z.object({
      findingId: z.string(),
      provider: z.string(),
      simKey: z.string(),
      simId: z.string(),
      kind: z.enum(differenceKinds),
      about: z.string(),
      orderId: z.string().nullable(),
      actionId: z.string().nullable(),
      detail: z.string(),
      mended: z.string().nullable(),
      firstSeenAt: moment(),
      state: z.discriminatedUnion('name', [
        z.object({ name: z.literal('open') }),
        z.object({ name: z.literal('resolved'), at: moment(), by: z.string(), how: z.string() }),
      ]),
    }),
);

const orderWatch = lazily(
  (): z.ZodType<OrderWatch> =>
    z.object({
      since: moment(),
      knownOrderIds: z.array(z.string()),
      sightings: moments(),
      openFindings: z.array(z.string()),
    }),
);

const providerOrder = lazily(
  (): z.ZodType<ProviderOrder> =>
    z.object({
      orderId: z.string(),
      reference: z.string().nullable(),
      simId: z.string(),
      packageCode: z.string().nullable(),
      stateCode: z.string(),
      phase: z.enum(['waiting', 'active', 'ended', 'unknown']),
      createdAtText: z.string().nullable(),
      createdAt: moment().nullable(),
      endsAtText: z.string().nullable(),
      endsAt: moment().nullable(),
      price: amount().nullable(),
      refunded: z.boolean(),
      told: facts().nullable(),
    }),
);

/** How far the reconciliation of a provider got. */
export interface ReconcileCursorRow {
  /** SIMs up to this key are done in the present pass; empty at its beginning. */
  readonly afterSimKey: string;
  /** The SIM whose pages were being read when the run ended. */
  readonly partial: {
    readonly simKey: string;
    readonly nextCursor: string;
    readonly orders: readonly ProviderOrder[];
  } | null;
  /** When the last whole pass ended; null before the first. */
  readonly lastPassAt: EpochMs | null;
}

const reconcileCursor = lazily(
  (): z.ZodType<ReconcileCursorRow> =>
    z.object({
      afterSimKey: z.string(),
      partial: z
        .object({ simKey: z.string(), nextCursor: z.string(), orders: z.array(providerOrder()) })
        .nullable(),
      lastPassAt: moment().nullable(),
    }),
);

const span = lazily(() => z.custom<DurationMs>(isMilliseconds, 'must be whole milliseconds'));

const arrivals = lazily(
  (): z.ZodType<Arrivals> =>
    z.object({
      provider: z.string(),
      lastAt: moment().nullable(),
      gaps: z.array(span()),
      alarmedAt: moment().nullable(),
    }),
);

export const rowSchemas = {
  event: eventRow,
  action: actionRow,
  sim: simState,
  switches,
  stopHistory,
  health: providerHealth,
  limit: limitWindow,
  pool,
  evidence,
  orderTie,
  capSums,
  quarantined,
  orderEnd,
  finding,
  orderWatch,
  reconcileCursor,
  arrivals,
} as const;

export type RowName = keyof typeof rowSchemas;
export type RowOf<N extends RowName> = z.infer<ReturnType<(typeof rowSchemas)[N]>>;

/** Reads an item's data as a row; throws StoreError `corrupt-item` that names the key and what is wrong. */
export function readRow<N extends RowName>(name: N, item: Item): RowOf<N> {
  const damage = item.data[damageMember];
  if (typeof damage === 'string') throw new StoreError('corrupt-item', damage);
  const parsed = rowSchemas[name]().safeParse(item.data);
  if (parsed.success) return parsed.data as RowOf<N>;
  throw new StoreError(
    'corrupt-item',
    `the ${name} row ${item.pk} ${item.sk} can't be read: ${z.prettifyError(parsed.error)}; it was written by another version or by hand, restore it from a backup or mend it`,
  );
}
