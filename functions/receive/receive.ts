import { days, type EpochMs, epochMs } from '../../shared/core/time.ts';
import type { Proof, WebhookEvent } from '../../shared/core/webhook-event.ts';
import { bodyBytes, type HttpLambdaEvent, type HttpLambdaResult } from '../../shared/lambda/http-event.ts';
import { sameText, sha256Hex } from '../../shared/platform/digest.ts';
import type { Log } from '../../shared/platform/log.ts';
import type { SecretSet, SecretSource } from '../../shared/platform/secret-source.ts';
import type { ReceivingProvider } from '../../shared/policy/stage.ts';
import type { Callback, CallbackFact, CallbackSide } from '../../shared/providers/provider.ts';
import { toMessage } from '../../shared/queue/work-item.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import type { Verification } from '../../shared/signing/index.ts';
import { recordCallback } from '../../shared/store/event-store.ts';
import type { Table } from '../../shared/store/table.ts';

/** Largest body that is read. Above it: 413. Source: design, limits; the largest documented body is a SIM list. */
export const bodyBytesMax = 256 * 1024;

/** Facts without a time of their own count as new again after this long. */
const dedupWindow = days(35);

/** What receive tells whoever watches, after the answer is settled. */
export interface ReceiveNotice {
  readonly status: number;
  readonly reason: string;
  readonly provider: string | null;
  readonly events: readonly WebhookEvent[];
  readonly duplicates: number;
}

export interface ReceiveDeps {
  readonly table: Table;
  readonly events: WorkQueue;
  readonly sides: readonly CallbackSide[];
  readonly providers: readonly ReceivingProvider[];
  readonly secrets: SecretSource;
  readonly log: Log;
  readonly notice?: (notice: ReceiveNotice) => void;
}

/** A request that is not accepted: the status the caller gets and the reason that only the log gets. */
interface Rejection {
  readonly status: 400 | 401 | 404 | 405 | 413 | 415;
  readonly reason: string;
  readonly detail: string;
}

interface Accepted {
  readonly provider: ReceivingProvider;
  readonly side: CallbackSide;
  readonly callback: Callback;
  readonly proof: Proof;
  readonly facts: readonly CallbackFact[];
}

type Step<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly rejection: Rejection };

/**
 * Answers one HTTP request of a provider: verify the bytes, store them, queue a hint, answer 2xx. It never acts.
 * 2xx only after every event is durable; 5xx only when the store is down, so that the provider tries again.
 */
export async function receive(
  request: HttpLambdaEvent,
  now: EpochMs,
  deps: ReceiveDeps,
): Promise<HttpLambdaResult> {
  const routed = await route(request, deps);
  if (!routed.ok) return reject(request, routed.rejection, null, deps);
  const { provider, side, secrets } = routed.value;
  if (request.requestContext.http.method !== 'POST') return handshake(request, provider.id, deps);

  const accepted = await accept(request, { provider, side, secrets }, now, deps);
  if (!accepted.ok) return reject(request, accepted.rejection, provider.id, deps);
  return store(request, accepted.value, now, deps);
}

interface Route {
  readonly provider: ReceivingProvider;
  readonly side: CallbackSide;
  readonly secrets: SecretSet;
}

/** The provider is chosen by the path, never by the body, which nobody has verified yet. */
async function route(request: HttpLambdaEvent, deps: ReceiveDeps): Promise<Step<Route>> {
  const path = request.rawPath.replace(/\/+$/, '');
  const provider = deps.providers.find(
    (p) => path === p.callbackPath || path.startsWith(`${p.callbackPath}/`),
  );
  const side = deps.sides.find((s) => s.id === provider?.id);
  if (!provider || !side)
    return no(404, 'unknown-path', `no provider has this path (${path.length} characters)`);
  const secrets = await deps.secrets.read(provider.id, 'callback');
  const token = path.slice(provider.callbackPath.length + 1);
  const expected = secrets.pathToken?.reveal() ?? '';
  if (!sameText(token, expected)) return no(404, 'wrong-path-token', `a token of ${token.length} characters`);
  return { ok: true, value: { provider, side, secrets } };
}

/** GET and HEAD are how consoles test an address; they learn nothing but that it answers. */
function handshake(request: HttpLambdaEvent, provider: string, deps: ReceiveDeps): HttpLambdaResult {
  const { method } = request.requestContext.http;
  if (method !== 'GET' && method !== 'HEAD') {
    return reject(
      request,
      { status: 405, reason: 'wrong-method', detail: method.slice(0, 20) },
      provider,
      deps,
    );
  }
  deps.log('info', 'handshake answered', { provider, method, requestId: request.requestContext.requestId });
  return { statusCode: 200, headers: { 'content-type': 'text/plain' }, body: method === 'HEAD' ? '' : 'ok' };
}

async function accept(
  request: HttpLambdaEvent,
  route: Route,
  now: EpochMs,
  deps: ReceiveDeps,
): Promise<Step<Accepted>> {
  const { provider, side } = route;
  const read = readBody(request);
  if (!read.ok) return read;
  const callback: Callback = { body: read.value, headers: request.headers };
  const proof = await prove(callback, route, now, deps);
  if (!proof.ok) return proof;
  const reading = side.read(callback, { currency: provider.currency });
  if (!reading.ok && proof.value.kind !== 'signed') return no(400, reading.reason, reading.detail);
  const facts = reading.ok ? reading.facts : [unreadable(callback, reading.reason)];
  return { ok: true, value: { provider, side, callback, proof: proof.value, facts } };
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

const jsonTypes = /^(application\/(json|[a-z0-9.+-]+\+json|octet-stream)|text\/(json|plain))$/;

function readBody(request: HttpLambdaEvent): Step<Uint8Array> {
  const type =
    (request.headers['content-type'] ?? 'application/json').split(';')[0]?.trim().toLowerCase() ?? '';
  if (!jsonTypes.test(type)) return no(415, 'wrong-content-type', type.slice(0, 80));
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > bodyBytesMax)
    return no(413, 'body-too-large', `${declared} bytes declared, at most ${bodyBytesMax}`);
  const body = bodyBytes(request);
  if (body.byteLength > bodyBytesMax)
    return no(413, 'body-too-large', `${body.byteLength} bytes, at most ${bodyBytesMax}`);
  if (body.byteLength === 0) return no(400, 'empty-body', 'a notification has a JSON body');
  return { ok: true, value: body };
}

/** Proves who sent it. When no key fits, the keys are read anew once: a rotation may just have happened. */
async function prove(
  callback: Callback,
  route: Route,
  now: EpochMs,
  deps: ReceiveDeps,
): Promise<Step<Proof>> {
  const { provider, side, secrets } = route;
  if (side.isUnsigned(callback)) {
    if (provider.callbacks.acceptUnsigned && secrets.pathToken !== null) {
      return { ok: true, value: { kind: 'unsigned', why: 'no signature sent, secret path matched' } };
    }
    return no(
      401,
      'missing-signature',
      'the stage does not accept unsigned callbacks, or the path has no token',
    );
  }
  const options = { now, ...provider.callbacks.verification };
  let verified: Verification = side.verify(callback, secrets.keys, options);
  if (!verified.ok && mayBeRotation(verified.reason)) {
    const fresh = await deps.secrets.reread(provider.id, 'callback');
    if (fresh !== null) verified = side.verify(callback, fresh.keys, options);
  }
  if (verified.ok)
    return { ok: true, value: { kind: 'signed', scheme: provider.id, variant: verified.variant } };
  return no(verified.reason === 'malformed-body' ? 400 : 401, verified.reason, verified.detail);
}

function mayBeRotation(reason: string): boolean {
  return reason === 'wrong-signature' || reason === 'unknown-key' || reason === 'no-secret';
}

async function store(
  request: HttpLambdaEvent,
  accepted: Accepted,
  now: EpochMs,
  deps: ReceiveDeps,
): Promise<HttpLambdaResult> {
  const { provider, side, callback, proof } = accepted;
  const bodyDigest = sha256Hex(callback.body);
  const callbackId = `cbk_${sha256Hex(`${provider.id}\n${bodyDigest}`).slice(0, 32)}`;
  const correlationId = `cor_${bodyDigest.slice(0, 16)}`;
  const events = accepted.facts.map((fact) =>
    toEvent(fact, { provider: provider.id, proof, now, callbackId, correlationId }),
  );
  const ids = { provider: provider.id, correlationId, requestId: request.requestContext.requestId };
  let results: readonly ('recorded' | 'duplicate')[];
  try {
    const evidence = {
      body: callback.body,
      headers: evidenceHeaders(side, callback),
      path: provider.callbackPath,
    };
    results = await recordCallback(deps.table, { callbackId, evidence, events, now });
  } catch (error) {
    deps.log('error', 'callback not stored', {
      ...ids,
      bytes: callback.body.byteLength,
      error: String(error),
    });
    return { statusCode: 503, headers: { 'retry-after': '5' }, body: '' };
  }
  const fresh = events.filter((_, i) => results[i] === 'recorded');
  await queueHints(fresh, ids, deps);
  const duplicates = events.length - fresh.length;
  const variant = proof.kind === 'signed' ? proof.variant : proof.kind;
  const first = events[0];
  deps.log('info', 'callback stored', {
    ...ids,
    eventId: first?.eventId ?? null,
    kind: first?.facts.kind ?? null,
    events: events.length,
    duplicates,
    variant,
    bytes: callback.body.byteLength,
  });
  deps.notice?.({ status: 200, reason: 'stored', provider: provider.id, events, duplicates });
  const { contentType, body } = provider.callbacks.acknowledgement ?? side.acknowledgement;
  return { statusCode: 200, headers: { 'content-type': contentType }, body };
}

/** The message is only a hint: when it can't be sent, the sweep finds the event in the table. */
async function queueHints(
  events: readonly WebhookEvent[],
  ids: { readonly provider: string; readonly correlationId: string },
  deps: ReceiveDeps,
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

function toEvent(
  fact: CallbackFact,
  frame: {
    readonly provider: string;
    readonly proof: Proof;
    readonly now: EpochMs;
    readonly callbackId: string;
    readonly correlationId: string;
  },
): WebhookEvent {
  const { provider, proof, now, callbackId, correlationId } = frame;
  // A fact that carries no time of its own would otherwise swallow next month's: let it be new after the window.
  const period = fact.identityIsUnique ? '' : String(Math.floor(now / dedupWindow));
  return {
    eventId: `evt_${sha256Hex(`${provider}\n${fact.identity}\n${period}`).slice(0, 32)}`,
    provider,
    providerType: fact.providerType,
    facts: fact.facts,
    subject: fact.subject,
    proof,
    occurredAt: fact.occurredAt,
    receivedAt: epochMs(now),
    correlationId,
    callbackId,
  };
}

function evidenceHeaders(side: CallbackSide, callback: Callback): Record<string, string> {
  const kept = ['content-type', ...side.evidenceHeaders];
  return Object.fromEntries(
    kept.flatMap((name) => {
      const value = callback.headers[name];
      return value === undefined ? [] : [[name, value.slice(0, 2_000)]];
    }),
  );
}

/** The reason goes to the log only: to the caller it would be an oracle. */
function reject(
  request: HttpLambdaEvent,
  rejection: Rejection,
  provider: string | null,
  deps: ReceiveDeps,
): HttpLambdaResult {
  const { status, reason, detail } = rejection;
  deps.log('warn', 'callback rejected', {
    provider,
    status,
    reason,
    detail,
    requestId: request.requestContext.requestId,
    bytes: request.body?.length ?? 0,
  });
  deps.notice?.({ status, reason, provider, events: [], duplicates: 0 });
  return { statusCode: status, headers: {}, body: '' };
}

function no(
  status: Rejection['status'],
  reason: string,
  detail: string,
): { readonly ok: false; readonly rejection: Rejection } {
  return { ok: false, rejection: { status, reason, detail } };
}
