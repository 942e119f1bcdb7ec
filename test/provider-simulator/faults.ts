import type { ApiReply, ApiRequest } from './api-handler.ts';
import type { ProviderName } from './books.ts';
import { eiotclubError, eiotclubRateLimited } from './eiotclub.ts';
import { csssError, csssRateLimited } from './linksfield-csss.ts';
import { cubeError, cubeRateLimited } from './linksfield-cube.ts';

/**
 * What can go wrong with one request. `commit` says whether the provider's logic runs (and an order is bought) before
 * the fault shows.
 */
export type Fault =
  /** Takes the request and never answers; the connection stays open. */
  | { readonly kind: 'hang'; readonly commit: boolean }
  /** Reads the request, then resets the connection. */
  | { readonly kind: 'drop'; readonly commit: boolean }
  /** Resets the connection before it reads the body. Nothing is bought. Its match sees an empty body. */
  | { readonly kind: 'reset-before-body' }
  /** Answers properly, but only after this time. */
  | { readonly kind: 'slow'; readonly afterMs: number }
  /** The order counts as bought at once and shows in the provider's records only after this time. */
  | {
      readonly kind: 'commit-late';
      readonly afterMs: number;
      readonly answer: 'good' | 'hang' | 'drop' | 'http-500';
    }
  | { readonly kind: 'http-error'; readonly status: number; readonly commit: boolean }
  /** A business refusal in the provider's own envelope. Nothing is bought. */
  | { readonly kind: 'refuse'; readonly code: string; readonly message: string }
  /** The provider's own rate-limit answer, with Retry-After where given. Nothing is bought. */
  | { readonly kind: 'rate-limit'; readonly retryAfterSec: number | null }
  | { readonly kind: 'malformed-json'; readonly commit: boolean }
  /** The full content-length is announced, the connection ends after this many bytes. */
  | { readonly kind: 'truncated'; readonly bytes: number; readonly commit: boolean }
  | { readonly kind: 'html'; readonly status: number; readonly commit: boolean }
  /** HTTP 200 with an error in the provider's envelope. */
  | { readonly kind: 'error-body'; readonly code: string; readonly message: string; readonly commit: boolean }
  | { readonly kind: 'huge-body'; readonly bytes: number; readonly commit: boolean }
  /** 307, which asks for the same POST at `location`. Nothing is bought at this address. */
  | { readonly kind: 'redirect'; readonly location: string }
  /** Answers that all went well; the order never shows in the records. `charged` false: it was never bought either. */
  | { readonly kind: 'forget-order'; readonly charged: boolean }
  /** The good answer, this many bytes at a time. */
  | { readonly kind: 'slow-drip'; readonly bytes: number; readonly everyMs: number };

/** What the caller's side of the connection lives through. */
export type Exchange =
  | {
      readonly kind: 'reply';
      readonly reply: ApiReply;
      readonly delayMs: number;
      readonly drip: { readonly bytes: number; readonly everyMs: number } | null;
      /** The connection ends after this many bytes of the body; null sends it whole. */
      readonly cutAfterBytes: number | null;
    }
  | { readonly kind: 'hang' }
  | { readonly kind: 'drop' }
  /** Nobody listens: the connection is refused. */
  | { readonly kind: 'unreachable' };

/** How a fault runs the provider's logic. */
export interface FaultRun {
  readonly provider: ProviderName;
  /** Runs the logic; what it buys shows in the records after this time. */
  readonly commit: (visibleAfterMs: number) => ApiReply;
  /** Runs the logic and takes back what it bought. */
  readonly pretend: () => ApiReply;
}

export interface SeenRequest extends ApiRequest {
  readonly provider: ProviderName;
}

export interface FaultRule {
  /** All members given must fit: provider, exact path or pattern, method; or a predicate over the request. */
  readonly match:
    | { readonly provider?: ProviderName; readonly path?: string | RegExp; readonly method?: string }
    | ((request: SeenRequest) => boolean);
  /** Requests that it strikes, 1 unless given; Infinity for all. */
  readonly times?: number;
  readonly fault: Fault;
}

export interface FaultHandle {
  /** Requests that it will still strike. */
  remaining(): number;
  remove(): void;
}

export interface Faults {
  add(rule: FaultRule): FaultHandle;
  clear(): void;
  /** The fault for this request, used up by one; null when none fits. Rules are tried in the order of adding. */
  take(request: SeenRequest, stage: 'before-body' | 'after-body'): Fault | null;
}

export function createFaults(): Faults {
  const rules: { readonly rule: FaultRule; left: number }[] = [];
  return {
    add: (rule) => {
      const entry = { rule, left: rule.times ?? 1 };
      rules.push(entry);
      return {
        remaining: () => entry.left,
        remove: () => {
          entry.left = 0;
        },
      };
    },
    clear: () => void rules.splice(0),
    take: (request, stage) => {
      const entry = rules.find(
        ({ rule, left }) =>
          left > 0 &&
          (rule.fault.kind === 'reset-before-body') === (stage === 'before-body') &&
          isMatch(rule, request),
      );
      if (entry === undefined) return null;
      entry.left -= 1;
      return entry.rule.fault;
    },
  };
}

function isMatch(rule: FaultRule, request: SeenRequest): boolean {
  if (typeof rule.match === 'function') return rule.match(request);
  const { provider, path, method } = rule.match;
  return (
    (provider === undefined || provider === request.provider) &&
    (method === undefined || method === request.method) &&
    (path === undefined || (typeof path === 'string' ? path === request.path : path.test(request.path)))
  );
}

/** The exchange without any fault. */
export const plainExchange = (reply: ApiReply): Exchange => ({
  kind: 'reply',
  reply,
  delayMs: 0,
  drip: null,
  cutAfterBytes: null,
});

const html = '<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>';

const withStatus = (status: number, bodyText: string, type = 'application/json;charset=UTF-8'): ApiReply => ({
  status,
  headers: { 'content-type': type },
  bodyText,
});

/** Plays one fault: decides whether the provider's logic runs and what the caller gets to see. */
export function playFault(fault: Fault, run: FaultRun): Exchange {
  switch (fault.kind) {
    case 'reset-before-body':
      return { kind: 'drop' };
    case 'slow':
      return { ...replyOf(run.commit(0)), delayMs: fault.afterMs };
    case 'slow-drip':
      return { ...replyOf(run.commit(0)), drip: { bytes: fault.bytes, everyMs: fault.everyMs } };
    case 'commit-late':
      return lateExchange(run.commit(fault.afterMs), fault.answer);
    case 'forget-order':
      return plainExchange(fault.charged ? run.commit(Number.POSITIVE_INFINITY) : run.pretend());
    case 'refuse':
      return plainExchange(errorOf(run.provider, fault.code, fault.message));
    case 'rate-limit':
      return plainExchange(rateLimited(run.provider, fault.retryAfterSec));
    case 'redirect':
      return plainExchange({ status: 307, headers: { location: fault.location }, bodyText: '' });
    default:
      return afterCommit(fault, run.provider, fault.commit ? run.commit(0) : null);
  }
}

type CommitFault = Extract<Fault, { commit: boolean }>;

/** Faults that may strike before or after the commit. `good` is the reply that the caller never gets to see. */
function afterCommit(fault: CommitFault, provider: ProviderName, good: ApiReply | null): Exchange {
  const text = good?.bodyText ?? '{"code":"200"}';
  switch (fault.kind) {
    case 'hang':
      return { kind: 'hang' };
    case 'drop':
      return { kind: 'drop' };
    case 'http-error':
      return plainExchange({
        ...errorOf(provider, String(fault.status), 'server error'),
        status: fault.status,
      });
    case 'malformed-json':
      return plainExchange(withStatus(200, `${text.slice(0, -1)},,`));
    case 'truncated':
      return { ...replyOf(withStatus(200, text)), cutAfterBytes: fault.bytes };
    case 'html':
      return plainExchange(withStatus(fault.status, html, 'text/html'));
    case 'error-body':
      return plainExchange({ ...errorOf(provider, fault.code, fault.message), status: 200 });
    case 'huge-body':
      return plainExchange(withStatus(200, `{"code":"200","padding":"${'x'.repeat(fault.bytes)}"}`));
  }
}

const replyOf = (reply: ApiReply): Extract<Exchange, { kind: 'reply' }> => ({
  kind: 'reply',
  reply,
  delayMs: 0,
  drip: null,
  cutAfterBytes: null,
});

function lateExchange(reply: ApiReply, answer: 'good' | 'hang' | 'drop' | 'http-500'): Exchange {
  if (answer === 'good') return plainExchange(reply);
  return answer === 'http-500'
    ? plainExchange(withStatus(500, '{"error":"Internal Server Error"}'))
    : { kind: answer };
}

function errorOf(provider: ProviderName, code: string, message: string): ApiReply {
  switch (provider) {
    case 'eiotclub':
      return eiotclubError(code, message);
    case 'linksfield-csss':
      return csssError(code, message);
    case 'linksfield-cube':
      return cubeError(code, message, 200);
  }
}

const limiters = {
  eiotclub: eiotclubRateLimited,
  'linksfield-csss': csssRateLimited,
  'linksfield-cube': cubeRateLimited,
} as const;

function rateLimited(provider: ProviderName, retryAfterSec: number | null): ApiReply {
  const reply = limiters[provider]();
  if (retryAfterSec === null) return reply;
  return { ...reply, headers: { ...reply.headers, 'retry-after': String(retryAfterSec) } };
}
