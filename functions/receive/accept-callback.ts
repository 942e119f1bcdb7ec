import type { Decision } from '../../shared/core/decide.ts';
import { decideUnmatched } from '../../shared/core/no-match.ts';
import type { MatchPolicy } from '../../shared/core/policy.ts';
import type { EpochMs } from '../../shared/core/time.ts';
import type { Proof, WebhookEvent } from '../../shared/core/webhook-event.ts';
import { sha256Hex } from '../../shared/platform/digest.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { SecretSet } from '../../shared/platform/secret-source.ts';
import type { ReceivingProvider } from '../../shared/policy/stage.ts';
import type { Callback } from '../../shared/providers/callback.ts';
import type { CallbackFact, CallbackSide } from '../../shared/providers/provider.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import { recordFacts } from '../../shared/store/event-store.ts';
import type { Evidence } from '../../shared/store/rows.ts';
import type { Table } from '../../shared/store/table.ts';

/** A request that is not accepted: the status the caller gets and the reason that only the log gets. */
export interface Rejection {
  readonly status: 400 | 401 | 404 | 405 | 413 | 415;
  readonly reason: string;
  readonly detail: string;
}

export type Step<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly rejection: Rejection };

/** Whose callback it is, by its path, and what proves it. */
export interface Route {
  readonly provider: ReceivingProvider;
  readonly side: CallbackSide;
  readonly secrets: SecretSet;
}

/** A callback whose sender is proven, read into facts. */
export interface Accepted {
  readonly names: CallbackNames;
  readonly provider: ReceivingProvider;
  readonly side: CallbackSide;
  readonly callback: Callback;
  readonly proof: Proof;
  readonly facts: readonly CallbackFact[];
}

/** Asks for the secrets anew, once, when no key fits; null when that was done moments ago. */
export type Reread = () => Promise<SecretSet | null>;

/** Proves a callback and reads it. `now` is the moment it was received: what its signed time is compared with. */
export async function acceptCallback(
  callback: Callback,
  route: Route,
  now: EpochMs,
  reread: Reread,
): Promise<Step<Accepted>> {
  const accepted = acceptBy(callback, route, now);
  if (accepted.ok || !mayBeRotation(accepted.rejection.reason)) return accepted;
  const secrets = await reread();
  return secrets === null ? accepted : acceptBy(callback, { ...route, secrets }, now);
}

function acceptBy(callback: Callback, route: Route, now: EpochMs): Step<Accepted> {
  const { provider, side } = route;
  const proof = prove(callback, route, now);
  if (!proof.ok) return proof;
  const reading = side.read(callback, { currency: provider.currency });
  if (!reading.ok && proof.value.kind !== 'signed') return no(400, reading.reason, reading.detail);
  const facts = reading.ok ? reading.facts : [unreadable(callback, reading.reason)];
  const names = namesOf(provider.id, callback);
  return { ok: true, value: { names, provider, side, callback, proof: proof.value, facts } };
}

/** What the provider signed but we can't read is kept, shown as unknown, and never acted on. */
function unreadable(callback: Callback, reason: string): CallbackFact {
  return {
    facts: { kind: 'unknown' },
    providerType: `unreadable: ${reason}`,
    subject: null,
    occurredAt: null,
    identity: `unreadable\n${sha256Hex(callback.body)}`,
    identityIsUnique: false,
  };
}

/** Proves who sent it. */
function prove(callback: Callback, { provider, side, secrets }: Route, now: EpochMs): Step<Proof> {
  const verified = side.verify(callback, secrets.keys, { now, ...provider.callbacks.verification });
  if (verified.ok) {
    return { ok: true, value: { kind: 'signed', scheme: provider.id, variant: verified.variant } };
  }
  // Asked second, because nearly all callbacks are signed; one without a signature never verifies.
  if (side.isUnsigned(callback)) return unsigned(provider, secrets);
  return no(verified.reason === 'malformed-body' ? 400 : 401, verified.reason, verified.detail);
}

function unsigned({ callbacks }: ReceivingProvider, { pathToken }: SecretSet): Step<Proof> {
  if (callbacks.acceptUnsigned && pathToken !== null) {
    return { ok: true, value: { kind: 'unsigned', why: 'no signature sent, secret path matched' } };
  }
  return no(
    401,
    'missing-signature',
    'the stage does not accept unsigned callbacks, or the path has no token',
  );
}

/** When no key fits, a rotation may just have happened. */
function mayBeRotation(reason: string): boolean {
  return reason === 'wrong-signature' || reason === 'unknown-key' || reason === 'no-secret';
}

/** An event that no rule can match, with the decision that was stored with it. */
export interface DecidedEvent {
  readonly event: WebhookEvent;
  readonly decision: Decision;
}

/** What was stored of an accepted callback. */
export interface Recorded {
  readonly events: readonly WebhookEvent[];
  /** How many of `events` were not stored before. */
  readonly fresh: number;
  /** Those of the fresh ones that decide must look at. */
  readonly undecided: readonly WebhookEvent[];
  /** The other fresh ones. */
  readonly decided: readonly DecidedEvent[];
}

/** How an accepted callback's events are stored. */
export interface RecordOptions {
  /** What the events are stored with as the moment at which they came. */
  readonly receivedAt: EpochMs;
  /** What no rule of these can match is decided here; null leaves every event to decide. */
  readonly policy: MatchPolicy | null;
  /** The moment of the decisions that are made here. */
  readonly now: EpochMs;
}

/** Stores an accepted callback's events, each once, and decides those that no rule can match (D29). Throws StoreError. */
export async function recordAccepted(
  accepted: Accepted,
  { receivedAt, policy, now }: RecordOptions,
  table: Table,
): Promise<Recorded> {
  const { names, provider, side, callback, proof, facts } = accepted;
  const frame = { provider: provider.id, proof, now: receivedAt, names };
  const timeless = new Set<string>();
  const events = facts.map((fact) => {
    const event = toEvent(fact, frame);
    if (!fact.identityIsUnique) timeless.add(event.eventId);
    return event;
  });
  const recorded = await recordFacts(table, {
    callbackId: names.callbackId,
    evidence: evidenceOf(side, callback, provider.callbackPath),
    events,
    now: receivedAt,
    repeats: { timeless, nextId },
    judge: (event) => (policy === null ? null : decideUnmatched(event, policy, now)),
  });
  const undecided: WebhookEvent[] = [];
  const decided: DecidedEvent[] = [];
  for (const { event, result, decision } of recorded) {
    if (result === 'duplicate') continue;
    if (decision === null) undecided.push(event);
    else decided.push({ event, decision });
  }
  const fresh = undecided.length + decided.length;
  return { events: recorded.map(({ event }) => event), fresh, undecided, decided };
}

function nextId(eventId: string, since: EpochMs): string {
  return `evt_${sha256Hex(`${eventId}\n${since}`).slice(0, 32)}`;
}

/** Names that the same bytes of the same provider always get. */
export interface CallbackNames {
  readonly callbackId: string;
  readonly correlationId: string;
}

function namesOf(provider: string, callback: Callback): CallbackNames {
  const bodyDigest = sha256Hex(callback.body);
  return {
    callbackId: `cbk_${sha256Hex(`${provider}\n${bodyDigest}`).slice(0, 32)}`,
    correlationId: `cor_${bodyDigest.slice(0, 16)}`,
  };
}

function toEvent(
  fact: CallbackFact,
  frame: {
    readonly provider: string;
    readonly proof: Proof;
    readonly now: EpochMs;
    readonly names: CallbackNames;
  },
): WebhookEvent {
  const { provider, proof, now, names } = frame;
  return {
    eventId: `evt_${sha256Hex(`${provider}\n${fact.identity}`).slice(0, 32)}`,
    provider,
    providerType: fact.providerType,
    facts: fact.facts,
    subject: fact.subject,
    proof,
    occurredAt: fact.occurredAt,
    receivedAt: now,
    correlationId: names.correlationId,
    callbackId: names.callbackId,
  };
}

/** Longer header values are cut: the longest signature of these schemes has a few hundred characters. */
const evidenceHeaderCharsMax = 2_000;

/** What is kept of a callback: its bytes and the headers that the signature covers or that name the delivery. */
export function evidenceOf(side: CallbackSide, callback: Callback, path: string): Evidence {
  const headers: Record<string, string> = {};
  for (const name of ['content-type', ...side.evidenceHeaders]) {
    const value = Object.hasOwn(callback.headers, name) ? callback.headers[name] : undefined;
    if (value !== undefined) headers[name] = value.slice(0, evidenceHeaderCharsMax);
  }
  return { body: callback.body, headers, path };
}

/** The message is only a hint: when it can't be sent, the sweep finds the event in the table. */
export async function queueHints(
  events: readonly WebhookEvent[],
  ids: { readonly provider: string; readonly correlationId: string },
  deps: { readonly events: WorkQueue; readonly log: Log },
): Promise<void> {
  for (let i = 0; i < events.length; i += 10) {
    const messages = events
      .slice(i, i + 10)
      .map(({ eventId, subject, correlationId }) =>
        toMessage({ kind: 'event', id: eventId, correlationId }, subject?.key ?? eventId),
      );
    try {
      await deps.events.send(messages);
    } catch (error) {
      deps.log('warn', 'event stored but not queued, the sweep will', { ...ids, error: String(error) });
      return;
    }
  }
}

export function no(
  status: Rejection['status'],
  reason: string,
  detail: string,
): { readonly ok: false; readonly rejection: Rejection } {
  return { ok: false, rejection: { status, reason, detail } };
}
