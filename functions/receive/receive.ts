import type { MatchPolicy } from '../../shared/core/policy.ts';
import type { EpochMs } from '../../shared/core/time.ts';
import type { WebhookEvent } from '../../shared/core/webhook-event.ts';
import { bodyBytes, type HttpLambdaEvent, type HttpLambdaResult } from '../../shared/lambda/http-event.ts';
import { decisionFields, decisionFigures, logDecision } from '../../shared/platform/decision-report.ts';
import { sameText } from '../../shared/platform/digest.ts';
import type { Log, LogFields } from '../../shared/platform/log.ts';
import type { SecretSource } from '../../shared/platform/secret-source.ts';
import type { ReceivingProvider } from '../../shared/policy/stage.ts';
import { callbackOf } from '../../shared/providers/callback.ts';
import type { CallbackSide } from '../../shared/providers/provider.ts';
import type { WorkQueue } from '../../shared/queue/work-queue.ts';
import type { Secret } from '../../shared/signing/index.ts';
import type { Quarantine } from '../../shared/store/quarantine-store.ts';
import type { Table } from '../../shared/store/table.ts';
import {
  type Accepted,
  acceptCallback,
  type DecidedEvent,
  no,
  queueHints,
  type Recorded,
  type Rejection,
  type Route,
  recordAccepted,
  type Step,
} from './accept-callback.ts';
import { receiveFigures } from './metrics.ts';
import { quarantine } from './quarantine-callback.ts';

/** Largest body that is read. Above it: 413. Source: design, limits; the largest documented body is a SIM list. */
export const bodyBytesMax = 256 * 1024;

/** What receive tells whoever watches, after the answer is settled. */
export interface ReceiveNotice {
  readonly status: number;
  readonly reason: string;
  readonly provider: string | null;
  readonly events: readonly WebhookEvent[];
  readonly duplicates: number;
  /** Those of `events` that were decided as they were stored. */
  readonly decided: readonly DecidedEvent[];
}

export interface ReceiveDeps {
  readonly table: Table;
  readonly events: WorkQueue;
  readonly sides: readonly CallbackSide[];
  readonly providers: readonly ReceivingProvider[];
  /** For which events a rule may speak: what none can match is decided here. */
  readonly policy: MatchPolicy;
  readonly secrets: SecretSource;
  /** Where callbacks with a bad signature are kept as evidence; null keeps none. */
  readonly quarantine: Quarantine | null;
  readonly log: Log;
  readonly notice?: (notice: ReceiveNotice) => void;
}

/**
 * Answers one HTTP request of a provider: verify the bytes, store them, queue a hint, answer 2xx. It never acts.
 * 2xx only after every event is durable; 5xx only when the store is down, so that the provider tries again.
 */
export async function receive(
  request: HttpLambdaEvent,
  now: EpochMs,
  deps: ReceiveDeps,
): Promise<HttpLambdaResult> {
  const addressed = addressOf(request, deps);
  if (!addressed.ok) return reject(request, addressed.rejection, null, deps);
  const { provider, side, token } = addressed.value;
  const secrets = await deps.secrets.read(provider.id, 'callback');
  if (!isPathToken(token, secrets.pathToken)) {
    const { rejection } = no(404, 'wrong-path-token', `a token of ${token.length} characters`);
    return reject(request, rejection, null, deps);
  }
  if (request.requestContext.http.method !== 'POST') return handshake(request, provider.id, deps);

  const body = readBody(request);
  if (!body.ok) return reject(request, body.rejection, provider.id, deps);
  const callback = callbackOf(body.value, request.headers);
  const reread = () => deps.secrets.reread(provider.id, 'callback');
  const accepted = await acceptCallback(callback, { provider, side, secrets }, now, reread);
  if (accepted.ok) return await store(request, accepted.value, now, deps);
  if (accepted.rejection.status === 401)
    await quarantine(callback, { provider, side, rejection: accepted.rejection, now }, deps);
  return reject(request, accepted.rejection, provider.id, deps);
}

interface Address extends Pick<Route, 'provider' | 'side'> {
  /** What follows the provider's path; '' where nothing does. */
  readonly token: string;
}

/** The provider is chosen by the path, never by the body, which nobody has verified yet. */
function addressOf(request: HttpLambdaEvent, deps: ReceiveDeps): Step<Address> {
  const path = request.rawPath.replace(/\/+$/, '');
  const provider = deps.providers.find(
    (p) => path === p.callbackPath || path.startsWith(`${p.callbackPath}/`),
  );
  const side = deps.sides.find((s) => s.id === provider?.id);
  if (!provider || !side)
    return no(404, 'unknown-path', `no provider has this path (${path.length} characters)`);
  return { ok: true, value: { provider, side, token: path.slice(provider.callbackPath.length + 1) } };
}

/** A path without a token holds no secret, so nothing can be learned from how long that comparison takes. */
function isPathToken(given: string, token: Secret | null): boolean {
  return token === null ? given === '' : sameText(given, token.reveal());
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

const jsonTypes = /^\s*(application\/(json|[a-z0-9.+-]+\+json|octet-stream)|text\/(json|plain))\s*(;|$)/i;

function readBody(request: HttpLambdaEvent): Step<Uint8Array> {
  const type = request.headers['content-type'] ?? 'application/json';
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

async function store(
  request: HttpLambdaEvent,
  accepted: Accepted,
  now: EpochMs,
  deps: ReceiveDeps,
): Promise<HttpLambdaResult> {
  const { names, provider, side, callback, proof } = accepted;
  const ids = {
    provider: provider.id,
    correlationId: names.correlationId,
    requestId: request.requestContext.requestId,
  };
  let recorded: Recorded;
  try {
    recorded = await recordAccepted(accepted, { receivedAt: now, now, policy: deps.policy }, deps.table);
  } catch (error) {
    deps.log('error', 'callback not stored', {
      ...ids,
      bytes: callback.body.byteLength,
      error: String(error),
    });
    return { statusCode: 503, headers: { 'retry-after': '5' }, body: '' };
  }
  await queueHints(recorded.undecided, ids, deps);
  const notice: ReceiveNotice = {
    status: 200,
    reason: 'stored',
    provider: provider.id,
    events: recorded.events,
    duplicates: recorded.events.length - recorded.fresh,
    decided: recorded.decided,
  };
  const variant = proof.kind === 'signed' ? proof.variant : proof.kind;
  logStored({ ...ids, variant, bytes: callback.body.byteLength }, notice, deps);
  deps.notice?.(notice);
  const { contentType, body } = provider.callbacks.acknowledgement ?? side.acknowledgement;
  return { statusCode: 200, headers: { 'content-type': contentType }, body };
}

/** One line for a callback with one fact, the decision on it included; further decisions get a line each, as decide writes. */
function logStored(fields: LogFields, notice: ReceiveNotice, { log }: ReceiveDeps): void {
  const { events, duplicates, decided } = notice;
  const [first] = events;
  const [sole] = events.length === 1 ? decided : [];
  const what = {
    ...fields,
    eventId: first?.eventId ?? null,
    kind: first?.facts.kind ?? null,
    events: events.length,
    duplicates,
  };
  const told = sole === undefined ? what : { ...what, ...decisionFields(sole.event, sole.decision) };
  log('info', 'callback stored', told, (at) => [
    ...receiveFigures(notice, at),
    ...(sole === undefined ? [] : [decisionFigures(sole.event, sole.decision, at)]),
  ]);
  if (sole === undefined) for (const { event, decision } of decided) logDecision(event, decision, log);
}

/** The reason goes to the log only: to the caller it would be an oracle. */
function reject(
  request: HttpLambdaEvent,
  rejection: Rejection,
  provider: string | null,
  deps: ReceiveDeps,
): HttpLambdaResult {
  const { status, reason, detail } = rejection;
  const notice: ReceiveNotice = { status, reason, provider, events: [], duplicates: 0, decided: [] };
  const { requestId } = request.requestContext;
  const fields = { provider, status, reason, detail, requestId, bytes: request.body?.length ?? 0 };
  deps.log('warn', 'callback rejected', fields, (at) => receiveFigures(notice, at));
  deps.notice?.(notice);
  return { statusCode: status, headers: {}, body: '' };
}
