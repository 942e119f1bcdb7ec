import type { z } from 'zod';
import { type CallFailure, notAdmitted } from '../../core/outcome.ts';
import { type DurationMs, type EpochMs, seconds } from '../../core/time.ts';
import { signCsssRequest } from '../../signing/index.ts';
import { type Http, neverTooLate, openHttp, replyBytesMaxDefault } from '../http-client.ts';
import type { ClientDeps, NamedSecret } from '../provider.ts';
import { judgeReply } from './outcomes.ts';
import type { CsssSettings } from './plans.ts';
import { csssProfile } from './profile.ts';
import {
  assetReplySchema,
  type BatchOrderRequest,
  batchReplySchema,
  deviceInfoReplySchema,
  type OrderPackageRequest,
  type OtaOrderRequest,
  orderReplySchema,
  otaReplySchema,
  type QueryOrderRequest,
  queryOrderReplySchema,
  type RenewRequest,
  renewReplySchema,
  usageReplySchema,
} from './wire.ts';

export type CsssAnswer<Data> = { readonly kind: 'done'; readonly data: Data } | CallFailure;

export type CsssDeps = Pick<
  ClientDeps<CsssSettings>,
  'settings' | 'apiSecrets' | 'now' | 'callTimeout' | 'admit' | 'openHttp'
>;

/** Any request body before the common parameters. */
type Parameters = object;

/**
 * Every CSSS call whose page could be read, one request each, without retries. Calls that buy take no slot of the
 * account's limits here, since theirs is taken before the money is reserved; all others pass `admit` first.
 * Source: protocols/linksfield.md, sections 1 to 3; seeds 000 to 003.
 */
export function openCsssApi(deps: CsssDeps) {
  const http = (deps.openHttp ?? openHttp)({
    baseUrl: deps.settings.baseUrl,
    connections: csssProfile.requestsPerSec,
    waitingMax: 10 * csssProfile.requestsPerSec,
    connectTimeoutMs: seconds(5),
    replyBytesMax: replyBytesMaxDefault,
  });
  const pay = <Schema extends z.ZodType>(
    path: string,
    parameters: Parameters,
    schema: Schema,
    startBy: EpochMs,
  ) => callOnce({ deps, http }, { path, parameters, schema, tooLate: () => deps.now() > startBy });
  const ask = async <Schema extends z.ZodType>(path: string, parameters: Parameters, schema: Schema) => {
    const admission = await deps.admit();
    if (!admission.ok) return heldBack(admission);
    try {
      return await callOnce({ deps, http }, { path, parameters, schema, tooLate: neverTooLate });
    } finally {
      await admission.release();
    }
  };
  return {
    orderPackage: (request: OrderPackageRequest, startBy: EpochMs) =>
      pay('/package/orderPackage', request, orderReplySchema, startBy),
    batchOrderPackages: (request: BatchOrderRequest, startBy: EpochMs) =>
      pay('/package/batchOrderPackages', request, batchReplySchema, startBy),
    renewPackage: (request: RenewRequest, startBy: EpochMs) =>
      pay('/package/renewPackage', request, renewReplySchema, startBy),
    createOtaOrder: (request: OtaOrderRequest, startBy: EpochMs) =>
      pay('/package/createOtaOrder', request, otaReplySchema, startBy),
    queryOrder: (request: QueryOrderRequest) => ask('/package/queryOrder', request, queryOrderReplySchema),
    queryDeviceFlowUsage: (request: { readonly device_id: string }) =>
      ask('/flow/queryDeviceFlowUsage', request, usageReplySchema),
    getInfoByDeviceId: (request: { readonly device_id: string }) =>
      ask('/flow/getInfoByDeviceId', request, deviceInfoReplySchema),
    syncAssetInfo: () => ask('/device/syncAssetInfo', {}, assetReplySchema),
    close: () => http.close(),
  };
}
export type CsssApi = ReturnType<typeof openCsssApi>;

function heldBack(refusal: { readonly retryAfter: DurationMs; readonly why: string }): CallFailure {
  return {
    kind: 'retryable',
    code: notAdmitted,
    message: refusal.why,
    retryAfter: refusal.retryAfter,
    burnsAttempt: false,
  };
}

interface Call<Schema> {
  readonly path: string;
  readonly parameters: Parameters;
  readonly schema: Schema;
  readonly tooLate: () => boolean;
}

async function callOnce<Schema extends z.ZodType>(
  { deps, http }: { readonly deps: CsssDeps; readonly http: Http },
  { path, parameters, schema, tooLate }: Call<Schema>,
): Promise<CsssAnswer<z.infer<Schema>>> {
  const key = await newestKey(deps);
  if (key === null) {
    return {
      kind: 'retryable',
      code: 'no-api-key',
      message: 'the CSSS secret can not be read, so nothing was sent: check the stage secret',
      retryAfter: null,
      burnsAttempt: true,
    };
  }
  const result = await http.send(
    {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', 'accept-language': deps.settings.acceptLanguage },
      body: signedBody(parameters, key, deps),
    },
    { deadlineMs: deps.callTimeout, tooLate },
  );
  const verdict = judgeReply(result, { now: deps.now(), replyCodes: deps.settings.replyCodes });
  if (verdict.kind !== 'done') return verdict;
  const parsed = schema.safeParse(verdict.data);
  if (parsed.success) return { kind: 'done', data: parsed.data };
  const where = parsed.error.issues
    .slice(0, 3)
    .map(({ path: at }) => at.join('.') || 'data')
    .join(', ');
  return { kind: 'unknown', code: 'unreadable-data', message: `a good reply with unreadable ${where}` };
}

/** Source: protocols/linksfield.md, section 1 (common parameters) and section 2 (unit of the timestamp). */
function signedBody(parameters: Parameters, key: NamedSecret, { settings, now }: CsssDeps): string {
  const sentAt = now();
  const unsigned = {
    ...parameters,
    version: '2.0',
    access_code: settings.accessCode,
    timestamp: String(settings.timestampUnit === 'seconds' ? Math.floor(sentAt / 1_000) : sentAt),
  };
  const { sign } = signCsssRequest(unsigned, key.secret, settings.signing);
  return JSON.stringify({ ...unsigned, sign });
}

/** Null when there is no key or the store of secrets fails: either way nothing has been sent yet. */
async function newestKey(deps: CsssDeps): Promise<NamedSecret | null> {
  try {
    const [newest] = await deps.apiSecrets();
    return newest ?? null;
  } catch {
    return null;
  }
}
