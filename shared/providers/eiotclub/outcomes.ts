import type { RefusalClass } from '../../core/outcome.ts';
import type { ApiReply } from './wire.ts';

/** What came back from one call, before anyone says what it means. */
export type Exchange =
  | {
      readonly kind: 'reply';
      readonly status: number;
      /** Null when the body has no readable code. */
      readonly reply: ApiReply | null;
    }
  | { readonly kind: 'not-sent'; readonly code: string; readonly message: string }
  | { readonly kind: 'lost'; readonly code: string; readonly message: string };

/** What it means for an order: done, said no, certainly not executed, or nobody knows. */
export type Meaning =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly refusal: RefusalClass }
  | { readonly kind: 'not-executed'; readonly burnsAttempt: boolean }
  | { readonly kind: 'unknown' };

export interface Row {
  readonly name: string;
  readonly holds: (exchange: Exchange) => boolean;
  readonly meaning: Meaning;
  readonly why: string;
  readonly source: string;
}

const refused = (refusal: RefusalClass): Meaning => ({ kind: 'refused', refusal });
const unknown: Meaning = { kind: 'unknown' };

const codeOf = (exchange: Exchange): string | null =>
  exchange.kind === 'reply' ? (exchange.reply?.code ?? null) : null;
const codeIs =
  (...codes: readonly string[]) =>
  (exchange: Exchange): boolean =>
    codes.includes(codeOf(exchange) ?? '');
const statusFrom =
  (first: number, last: number) =>
  (exchange: Exchange): boolean =>
    exchange.kind === 'reply' && exchange.status >= first && exchange.status <= last;

/** An order with this outTradeNo exists. Source: protocols/eiotclub.md, section 4.1. */
export const duplicateReferenceCode = '503016';

/** Documented codes of the family "a parameter is wrong" or "this card can't have it". */
const parameterCodes = [
  ...['41001', '41002', '41003', '41004', '41005', '41006', '41007', '41008', '41009', '41010', '41011'],
  ...['41012', '41013', '41014', '41015', '41018', '41028', '41029', '41040', '41041', '41050'],
];

/**
 * The one place that says what an answer means. The first row that holds decides.
 * Whatever no row knows is unknown: an order may exist, and only the provider's records can tell.
 * "Not executed" stands only where the provider's own words or the absence of any connection prove it.
 */
export const classification: readonly Row[] = [
  {
    name: 'no byte left',
    holds: (exchange) => exchange.kind === 'not-sent',
    meaning: { kind: 'not-executed', burnsAttempt: true },
    why: 'no connection stood, so the provider saw nothing',
    source: 'shared/providers/http-client.ts',
  },
  {
    name: 'no complete reply',
    holds: (exchange) => exchange.kind === 'lost',
    meaning: unknown,
    why: 'the order may have been taken before the answer was lost',
    source: 'protocols/eiotclub.md, section 6, consequences',
  },
  {
    name: 'HTTP 429',
    holds: (exchange) => statusFrom(429, 429)(exchange) && codeOf(exchange) !== '200',
    meaning: { kind: 'not-executed', burnsAttempt: false },
    why: 'the limiter answers in place of the service',
    source: 'RFC 6585, section 4; the limit: protocols/eiotclub.md, section 1.1 (C)',
  },
  {
    name: 'HTTP 1xx, 3xx, 5xx',
    holds: (exchange) => !statusFrom(200, 299)(exchange) && !statusFrom(400, 499)(exchange),
    meaning: unknown,
    why: 'a gateway may answer while the service still works, whatever the body says; redirects are not followed',
    source: 'RFC 9110, section 15; use of HTTP errors by the service: protocols/eiotclub.md, section 1.4 (U)',
  },
  {
    name: 'no readable code',
    holds: (exchange) => codeOf(exchange) === null,
    meaning: unknown,
    why: 'without its code the reply says nothing',
    source: 'protocols/eiotclub.md, section 1.4 (D)',
  },
  {
    name: 'success',
    holds: (exchange) => codeIs('200')(exchange) && statusFrom(200, 299)(exchange),
    meaning: { kind: 'done' },
    why: 'the only documented success; on an HTTP error it contradicts itself and is unknown',
    source: 'protocols/eiotclub.md, section 1.5 (D) and seed 004',
  },
  {
    name: 'wrong parameter, card or package',
    holds: codeIs(...parameterCodes),
    meaning: refused('business'),
    why: 'the request was found wrong; 41xxx codes that are not documented stay unknown',
    source: 'protocols/eiotclub.md, section 1.5 (D, AP:2084441m0)',
  },
  {
    name: 'goods not found, out of stock, refund not allowed',
    holds: codeIs('45109', '45110', '45113'),
    meaning: refused('business'),
    why: 'nothing was sold; documented for eSIM goods, one numbering for all pages (I)',
    source: 'protocols/eiotclub.md, section 1.5 (D, AP:261353809e0, AP:261832528e0)',
  },
  {
    name: 'balance too low',
    holds: codeIs('45112'),
    meaning: refused('wallet-empty'),
    why: 'every further order would be refused too',
    source: 'protocols/eiotclub.md, section 1.5 (D, AP:261353809e0)',
  },
  {
    name: 'no permission, address not on the allow-list',
    holds: codeIs('403', '502'),
    meaning: refused('account'),
    why: 'the account may not call from here until someone changes that',
    source: 'protocols/eiotclub.md, section 1.5 (D, AP:2084441m0)',
  },
  {
    name: 'too many requests',
    holds: codeIs('501'),
    meaning: { kind: 'not-executed', burnsAttempt: false },
    why: 'refused for its rate alone; a later try is as good as the first',
    source: 'protocols/eiotclub.md, section 1.5 (D, AP:2084441m0)',
  },
  {
    name: 'duplicate outTradeNo',
    holds: codeIs(duplicateReferenceCode),
    meaning: unknown,
    why: 'an order with our number exists, most likely our own first attempt: it must be looked up',
    source: 'protocols/eiotclub.md, section 4.1, outTradeNo (D for eSIM, I for packages)',
  },
  {
    name: 'operation failed, try later',
    holds: codeIs('500'),
    meaning: unknown,
    why: "the words don't say whether the order was taken",
    source: 'protocols/eiotclub.md, section 1.5, retry reading (I)',
  },
  {
    name: 'anything else',
    holds: () => true,
    meaning: unknown,
    why: 'the code table is known in part only',
    source: 'protocols/eiotclub.md, section 1.5 (the rest of the table is U)',
  },
];

/** What an exchange means, and the row that says so. */
export function classify(exchange: Exchange): Row {
  const row = classification.find(({ holds }) => holds(exchange));
  if (row === undefined) throw new Error('the last row of the classification must hold for everything');
  return row;
}

/** The code that is kept and shown: the provider's own where it counted, else what the transport saw. */
export function shownCode(exchange: Exchange): string {
  if (exchange.kind !== 'reply') return exchange.code;
  const { status, reply } = exchange;
  const ok = status >= 200 && status <= 299;
  if (ok) return reply?.code ?? 'unreadable-reply';
  const counted = status >= 400 && status <= 499 && status !== 429 && reply !== null && reply.code !== '200';
  return counted ? reply.code : `http-${status}`;
}
