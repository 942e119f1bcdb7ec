import { notAdmitted } from '../../core/outcome.ts';
import { type DurationMs, type EpochMs, seconds } from '../../core/time.ts';
import { type Secret, signEiotclubRequest } from '../../signing/index.ts';
import { type HttpResult, neverTooLate, openHttp, replyBytesMaxDefault } from '../http-client.ts';
import type { ClientDeps, NamedSecret } from '../provider.ts';
import { readRetryAfter } from '../retry-after.ts';
import { classify, type Exchange, type Meaning, shownCode } from './outcomes.ts';
import type { EiotclubSettings } from './plans.ts';
import { profile } from './profile.ts';
import { type ApiReply, type OrderRecord, readOrderDetails, readOrderRecords, readReply } from './wire.ts';

/** One call's answer with its meaning. `message` holds no secret and no signature. */
export interface ApiAnswer {
  readonly meaning: Meaning;
  readonly code: string;
  readonly message: string;
  readonly retryAfter: DurationMs | null;
  readonly reply: ApiReply | null;
}

/** A question's answer as a value, or why there is none. */
export type ApiResult<T> =
  | { readonly kind: 'ok'; readonly value: T; readonly total: number | null }
  | { readonly kind: 'failed'; readonly answer: ApiAnswer };

/** Source: protocols/eiotclub.md, section 4.1 (D; `renew` S). */
export type OrderPackageRequest = {
  readonly iccid: string;
  readonly packageCode: string;
  /** At most 32 characters, the caller's own. */
  readonly outTradeNo: string;
  readonly renew?: 0 | 1;
};

/** Source: protocols/eiotclub.md, section 4.2 (D, seed 004). Dates are `yyyy-MM-dd HH:mm:ss` without a zone. */
export type OrderRecordRequest = {
  readonly iccid: string;
  readonly state?: 0 | 1 | 2;
  /** Several states, comma-joined: `0,1`. */
  readonly stateArrStr?: string;
  readonly createDateStart?: string;
  readonly createDateEnd?: string;
  readonly updateDateStart?: string;
  readonly updateDateEnd?: string;
  /** Order ids, comma-joined. */
  readonly orderIdArrStr?: string;
  /** From 1. */
  readonly page?: number;
  readonly pageSize?: number;
  /** Without it: by creation time, ascending. */
  readonly orderBy?: 'createDateDesc';
};

/** Source: protocols/eiotclub.md, section 4.1 (D; `state`, `page`, `pageSize` S). One of the lists, at most 50 entries. */
export type OrderDetailsRequest = {
  readonly outTradeNoArrStr?: string;
  readonly orderNumberArrStr?: string;
  readonly state?: number;
  readonly page: number;
  readonly pageSize: number;
};

/** The provider's endpoints, one request a call. None of them retries or throws for what the provider does. */
export interface EiotclubApi {
  /** Paid. */
  orderPackage(request: OrderPackageRequest, startBy: EpochMs): Promise<ApiAnswer>;
  packageOrderRecord(request: OrderRecordRequest): Promise<ApiResult<readonly OrderRecord[]>>;
  getOrderPackageDetails(request: OrderDetailsRequest): Promise<ApiResult<readonly OrderRecord[]>>;
  /** The replies of the calls below are not documented (U): they come as the envelope. */
  queryPackage(request: { readonly iccid: string; readonly orderId: string }): Promise<ApiResult<ApiReply>>;
  queryOrderPackageByPackageCode(request: { readonly packageCode: string }): Promise<ApiResult<ApiReply>>;
  listOrderPackageByIccid(request: { readonly iccid: string }): Promise<ApiResult<ApiReply>>;
  getCardsInfo(request: { readonly iccid: string }): Promise<ApiResult<ApiReply>>;
  agentBalance(): Promise<ApiResult<ApiReply>>;
  close(): Promise<void>;
}

type Params = Readonly<Record<string, string | number>>;
type Call = (path: string, params: Params) => Promise<ApiAnswer>;
type PaidCall = (path: string, params: Params, tooLate: () => boolean) => Promise<ApiAnswer>;

/** Opens the connections to the one base URL of the settings. Every call but the paid one passes `admit`. */
export function openEiotclubApi(deps: ClientDeps<EiotclubSettings>): EiotclubApi {
  const http = (deps.openHttp ?? openHttp)({
    baseUrl: deps.settings.baseUrl,
    connections: profile.requestsPerSec,
    waitingMax: 10 * profile.requestsPerSec,
    connectTimeoutMs: seconds(5),
    replyBytesMax: replyBytesMaxDefault,
  });
  const call: PaidCall = async (path, params, tooLate) => {
    const key = await chooseKey(deps);
    if (!key.ok) return answerOf({ kind: 'not-sent', code: key.code, message: key.message }, null, []);
    const body = signedBody(params, key, deps);
    const limits = { deadlineMs: deps.callTimeout, tooLate };
    const result = await http.send({ method: 'POST', path, headers, body }, limits);
    return answerOf(exchangeOf(result), retryAfterOf(result, deps.now()), [key.secret]);
  };
  const free: Call = async (path, params) => {
    const admission = await deps.admit();
    if (!admission.ok) {
      const refusal = { kind: 'not-sent', code: notAdmitted, message: admission.why } as const;
      return answerOf(refusal, admission.retryAfter, []);
    }
    try {
      return await call(path, params, neverTooLate);
    } finally {
      await admission.release();
    }
  };
  const ask = async (path: string, params: Params) => resultOf(await free(path, params), (reply) => reply);
  return {
    orderPackage: (request, startBy) =>
      call('/api/v3/package/orderPackage', request, () => deps.now() > startBy),
    packageOrderRecord: async (request) =>
      resultOf(await free('/api/v3/package/packageOrderRecord', request), readOrderRecords),
    getOrderPackageDetails: async (request) =>
      resultOf(await free('/api/v3/package/getOrderPackageDetails', request), readOrderDetails),
    queryPackage: (request) => ask('/api/v3/package/queryPackage', request),
    queryOrderPackageByPackageCode: (request) =>
      ask('/api/v3/package/queryOrderPackageByPackageCode', request),
    listOrderPackageByIccid: (request) => ask('/api/v3/package/listOrderPackageByIccid', request),
    getCardsInfo: (request) => ask('/api/v3/card/getCardsInfo', request),
    agentBalance: () => ask('/api/v3/agent/balance', {}),
    close: () => http.close(),
  };
}

/** Source: protocols/eiotclub.md, section 1.1 (S). */
const headers = { 'content-type': 'application/json;charset=utf-8', accept: 'application/json' };

type Key =
  | { readonly ok: true; readonly appkey: string; readonly secret: Secret }
  | { readonly ok: false; readonly code: string; readonly message: string };

/** The newest key signs. Its id is the appkey, unless the settings name one. */
async function chooseKey({ apiSecrets, settings }: ClientDeps<EiotclubSettings>): Promise<Key> {
  let keys: readonly NamedSecret[];
  try {
    keys = await apiSecrets();
  } catch {
    // Nothing was sent yet, so this is a clean "not now". The error's text could name the secret: it stays out.
    return { ok: false, code: 'secrets-unavailable', message: 'the API secrets could not be read' };
  }
  const [newest] = keys;
  if (newest === undefined) {
    return { ok: false, code: 'no-secret', message: 'no API secret is set for eiotclub: add one' };
  }
  const appkey = settings.appkey ?? newest.keyId;
  return appkey === null
    ? {
        ok: false,
        code: 'no-appkey',
        message: 'no appkey is set: put it into the settings or name the key by it',
      }
    : { ok: true, appkey, secret: newest.secret };
}

/** Source: protocols/eiotclub.md, sections 1.2 and 1.3. */
function signedBody(
  params: Params,
  key: Extract<Key, { ok: true }>,
  { now, random }: ClientDeps<EiotclubSettings>,
): string {
  const unsigned = {
    ...params,
    appkey: key.appkey,
    timestamp: Math.floor(now() / 1_000),
    nonce: random.integer(10_000, 99_999),
  };
  return JSON.stringify({ ...unsigned, sign: signEiotclubRequest(unsigned, key.secret).sign });
}

function exchangeOf(result: HttpResult): Exchange {
  return result.kind === 'reply'
    ? { kind: 'reply', status: result.status, reply: readReply(result.bodyText) }
    : result;
}

function retryAfterOf(result: HttpResult, now: EpochMs): DurationMs | null {
  return result.kind === 'reply' ? readRetryAfter(result.headers['retry-after'], now) : null;
}

function answerOf(exchange: Exchange, retryAfter: DurationMs | null, secrets: readonly Secret[]): ApiAnswer {
  const { meaning, why } = classify(exchange);
  const reply = exchange.kind === 'reply' ? exchange.reply : null;
  const own = exchange.kind === 'reply' ? (exchange.reply?.message ?? '') : exchange.message;
  const text = own === '' ? why : own;
  return {
    meaning,
    code: withoutSecrets(shownCode(exchange), secrets),
    message: withoutSecrets(text, secrets).slice(0, 200),
    retryAfter,
    reply,
  };
}

/** Providers echo what they got in error texts: takes out the secret, and whatever looks like a signature. */
function withoutSecrets(text: string, secrets: readonly Secret[]): string {
  return secrets
    .reduce((rest, secret) => rest.replaceAll(secret.reveal(), '[secret]'), text)
    .replace(/[0-9a-f]{40,}/gi, '[removed]');
}

function resultOf<T>(answer: ApiAnswer, read: (reply: ApiReply) => T | null): ApiResult<T> {
  if (answer.meaning.kind !== 'done' || answer.reply === null) return { kind: 'failed', answer };
  const value = read(answer.reply);
  if (value !== null) return { kind: 'ok', value, total: answer.reply.total };
  const unreadable = { code: 'unreadable-reply', message: 'success, but its data has no known shape' };
  return { kind: 'failed', answer: { ...answer, ...unreadable, meaning: { kind: 'unknown' } } };
}
