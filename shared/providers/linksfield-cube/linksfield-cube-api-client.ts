import { z } from 'zod';
import { type CallFailure, notAdmitted } from '../../core/outcome.ts';
import { type DurationMs, type EpochMs, seconds } from '../../core/time.ts';
import { signCubeRequest } from '../../signing/index.ts';
import { type Http, type HttpRequest, neverTooLate, openHttp, replyBytesMaxDefault } from '../http-client.ts';
import type { ClientDeps } from '../provider.ts';
import { judgeReply } from './outcomes.ts';
import type { CubeSettings } from './plans.ts';
import { cubeProfile } from './profile.ts';
import {
  type AddBundleRequest,
  addBundleReplySchema,
  asyncResultSchema,
  bundleListSchema,
  type ListBundlesQuery,
  type ListSimsQuery,
  type RenewOrderRequest,
  renewOrderSchema,
  renewReplySchema,
  simListSchema,
  simSchema,
  type UsageQuery,
  usageSchema,
} from './wire.ts';

export type CubeAnswer<Data> = { readonly kind: 'done'; readonly data: Data } | CallFailure;

export type CubeDeps = Pick<
  ClientDeps<CubeSettings>,
  'settings' | 'apiSecrets' | 'now' | 'random' | 'callTimeout' | 'admit'
>;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: RenewOrderRequest | AddBundleRequest;
}

/**
 * The Cube v4 calls whose pages could be read, one request each, without retries. Calls that buy take no slot of the
 * account's limits here, since theirs is taken before the money is reserved; all others pass `admit` first.
 * Source: protocols/linksfield.md, sections 5.1, 5.2 and 5.4.
 */
export function openCubeApi(deps: CubeDeps) {
  const http = openHttp({
    baseUrl: deps.settings.baseUrl,
    // The account's connections are counted in its slots, which a stage may have more of than the profile says.
    connections: cubeProfile.requestsPerSec,
    waitingMax: 10 * cubeProfile.requestsPerSec,
    connectTimeoutMs: seconds(5),
    replyBytesMax: replyBytesMaxDefault,
  });
  const pay = <Schema extends z.ZodType>(call: Call, schema: Schema, startBy: EpochMs) =>
    callOnce({ deps, http, tooLate: () => deps.now() > startBy }, call, schema);
  const ask = async <Schema extends z.ZodType>(call: Call, schema: Schema) => {
    const admission = await deps.admit();
    if (!admission.ok) return heldBack(admission);
    try {
      return await callOnce({ deps, http, tooLate: neverTooLate }, call, schema);
    } finally {
      await admission.release();
    }
  };
  const sim = (simId: string) => `/sims/${encodeURIComponent(simId)}`;
  return {
    addBundle: (simId: string, body: AddBundleRequest, startBy: EpochMs) =>
      pay({ method: 'POST', path: `${sim(simId)}/bundle`, body }, ofData(addBundleReplySchema), startBy),
    placeServiceOrder: (body: RenewOrderRequest, startBy: EpochMs) =>
      pay({ method: 'POST', path: '/orders/service', body }, ofData(renewReplySchema), startBy),
    listSims: (query: ListSimsQuery) => ask({ method: 'GET', path: '/sims', query }, simListSchema),
    getSim: (simId: string) => ask({ method: 'GET', path: sim(simId) }, ofData(simSchema)),
    listBundles: (simId: string, query: ListBundlesQuery) =>
      ask({ method: 'GET', path: `${sim(simId)}/bundles`, query }, bundleListSchema),
    getUsage: (simId: string, query: UsageQuery) =>
      ask({ method: 'GET', path: `${sim(simId)}/usage`, query }, ofData(usageSchema)),
    getServiceOrder: (orderId: string) =>
      ask(
        { method: 'GET', path: `/orders/${encodeURIComponent(orderId)}/service` },
        ofData(renewOrderSchema),
      ),
    getAsyncResult: (requestId: string) =>
      ask(
        { method: 'GET', path: `/sims/async_result/${encodeURIComponent(requestId)}` },
        ofData(asyncResultSchema),
      ),
    close: () => http.close(),
  };
}
export type CubeApi = ReturnType<typeof openCubeApi>;

interface Payload {
  readonly data: unknown;
}

/** The reply's `data` alone, read by its schema. */
function ofData<Schema extends z.ZodType>(schema: Schema) {
  return z
    .custom<Payload>()
    .transform(({ data }) => data)
    .pipe(schema);
}

async function callOnce<Schema extends z.ZodType>(
  { deps, http, tooLate }: { readonly deps: CubeDeps; readonly http: Http; readonly tooLate: () => boolean },
  call: Call,
  schema: Schema,
): Promise<CubeAnswer<z.infer<Schema>>> {
  const request = await signedRequest(call, deps);
  if (request === null) return noUsableKey;
  const result = await http.send(request, { deadlineMs: deps.callTimeout, tooLate });
  const verdict = judgeReply(result, { now: deps.now(), replyCodes: deps.settings.replyCodes });
  if (verdict.kind !== 'done') return verdict;
  const parsed = schema.safeParse(verdict);
  if (parsed.success) return { kind: 'done', data: parsed.data };
  const where = parsed.error.issues
    .slice(0, 3)
    .map(({ path }) => path.map(String).join('.') || 'data')
    .join(', ');
  return { kind: 'unknown', code: 'unreadable-data', message: `a good reply with unreadable ${where}` };
}

const noUsableKey: CallFailure = {
  kind: 'retryable',
  code: 'no-api-key',
  message:
    'no named RSA private key can be read and used, so nothing was sent: store the PEM text with its keyId as the API secret',
  retryAfter: null,
  burnsAttempt: true,
};

function heldBack(refusal: { readonly retryAfter: DurationMs; readonly why: string }): CallFailure {
  return {
    kind: 'retryable',
    code: notAdmitted,
    message: refusal.why,
    retryAfter: refusal.retryAfter,
    burnsAttempt: false,
  };
}

/**
 * Null when no key can be read or used: either way nothing has been sent yet.
 * Source: protocols/linksfield.md, sections 5.1 (headers) and 5.2 (signature v2, path with `/cube/v4`).
 */
async function signedRequest(call: Call, deps: CubeDeps): Promise<HttpRequest | null> {
  const { settings, now, random } = deps;
  const timestampMs = now();
  const nonce = String(random.integer(1, 999_999_999));
  const prefix = new URL(settings.baseUrl).pathname.replace(/\/+$/, '');
  const { method, query = {}, body = null } = call;
  const key = await newestKey(deps);
  if (key === null) return null;
  const toSign = { method, path: `${prefix}${call.path}`, query, body, timestampMs, nonce };
  const authorization = tryToSign(() => signCubeRequest(toSign, key, settings.signing).authorization);
  if (authorization === null) return null;
  return {
    method,
    path: call.path,
    query,
    headers: {
      authorization,
      'x-lf-signature-type': '2.0',
      timestamp: String(timestampMs),
      nonce,
      'accept-language': settings.acceptLanguage,
      ...(settings.apiVersion === null ? {} : { 'x-lf-api-version': settings.apiVersion }),
      ...(body === null ? {} : { 'content-type': 'application/json' }),
    },
    body: body === null ? null : JSON.stringify(body),
  };
}

async function newestKey(deps: CubeDeps) {
  try {
    const [newest] = await deps.apiSecrets();
    return newest === undefined || newest.keyId === null
      ? null
      : { keyId: newest.keyId, privateKey: newest.secret };
  } catch {
    return null;
  }
}

/** The signing library throws a RangeError for a key that can't sign. */
function tryToSign(sign: () => string): string | null {
  try {
    return sign();
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}
