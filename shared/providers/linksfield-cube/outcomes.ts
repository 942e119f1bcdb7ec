import type { CallFailure, RefusalClass } from '../../core/outcome.ts';
import type { EpochMs } from '../../core/time.ts';
import { readExactJson } from '../exact-json.ts';
import type { HttpResult } from '../http-client.ts';
import { readRetryAfter } from '../retry-after.ts';
import type { CubeSettings } from './plans.ts';
import { envelopeSchema } from './wire.ts';

/** What one call came to; the payload is not read yet. */
export type CubeVerdict =
  | { readonly kind: 'done'; readonly data: unknown; readonly totalCount: unknown }
  | CallFailure;

/** `told` is what the stage file says of the code. */
interface Seen {
  readonly status: number;
  readonly code: string | null;
  readonly told: RefusalClass | 'unknown' | null;
}

type RowVerdict = 'done' | 'limited' | 'unknown' | RefusalClass;

interface Row {
  readonly when: (seen: Seen) => boolean;
  readonly verdict: RowVerdict | ((seen: Seen) => RowVerdict);
  readonly source: string;
}

const codeIs =
  (pattern: RegExp) =>
  ({ code }: Seen): boolean =>
    code !== null && pattern.test(code);

/**
 * The one classification of replies; the first row that fits holds. A code that was not published, or whose
 * meaning leaves room for a purchase, is unknown: the SIM's bundles then tell.
 */
export const replyTable: readonly Row[] = [
  {
    when: ({ status }) => status === 429,
    verdict: 'limited',
    source: 'protocols/linksfield.md, section 5.1 (limits)',
  },
  {
    when: ({ status }) => status === 401 || status === 403,
    verdict: 'account',
    source: 'protocols/linksfield.md, section 5.1: 401 Authorization missing, 403 signature wrong',
  },
  {
    when: ({ status }) => status !== 200 && status !== 400,
    verdict: 'unknown',
    source: 'design, section 3: no clear answer after the bytes left',
  },
  {
    when: ({ status, code }) => status === 200 && code === 'CB-00-0000',
    verdict: 'done',
    source: 'protocols/linksfield.md, section 5.1 (success)',
  },
  {
    when: codeIs(/^CB-00-0000$/),
    verdict: 'unknown',
    source: 'success under HTTP 400 contradicts itself',
  },
  {
    when: ({ told }) => told !== null,
    verdict: ({ told }) => told ?? 'unknown',
    source: 'the stage file: what Linksfield told the operator',
  },
  {
    when: codeIs(/^CB-99-(?:9500|9999)$/),
    verdict: 'unknown',
    source:
      'protocols/linksfield.md, section 5.5: "busy, try later" and "internal call error" for one code; internal error',
  },
  {
    // While an earlier request runs the SIM is locked. That request may be ours, so the bundles must be asked.
    when: codeIs(/^CB-01-(?:0108|0109|0111)$/),
    verdict: 'unknown',
    source: 'protocols/linksfield.md, section 5.5: activating, deactivating, earlier request still running',
  },
  {
    // An order that activates at once may have been booked before the activation failed.
    when: codeIs(/^CB-01-(?:0104|0200)$/),
    verdict: 'unknown',
    source: 'protocols/linksfield.md, section 5.5: activation failed, suspend failed',
  },
  {
    when: codeIs(/^CB-99-(?:9401|9403)$/),
    verdict: 'account',
    source: 'protocols/linksfield.md, section 5.5: Authorization missing, not authorised for this call',
  },
  {
    when: codeIs(/^CB-99-(?:9400|9402)$/),
    verdict: 'business',
    source: 'protocols/linksfield.md, section 5.5: bad or missing parameters',
  },
  {
    when: codeIs(/^CB-00-000[123]$/),
    verdict: 'business',
    source: 'protocols/linksfield.md, section 5.5: times out of range',
  },
  {
    when: codeIs(/^CB-0[124]-9999$/),
    verdict: 'business',
    source: 'protocols/linksfield.md, section 5.5: SIM, bundle or SMS check failed',
  },
  {
    when: codeIs(/^CB-01-(?:000[1-6]|010[1-7]|0125|0202|0204)$/),
    verdict: 'business',
    source: 'protocols/linksfield.md, section 5.5: SIM codes',
  },
  {
    when: codeIs(/^CB-02-0003$/),
    verdict: 'business',
    source: 'protocols/linksfield.md, section 5.5: plan unknown',
  },
  {
    when: ({ status }) => status === 400,
    verdict: 'business',
    source: 'protocols/linksfield.md, section 5.1: 400 parameters',
  },
  {
    when: () => true,
    verdict: 'unknown',
    source: 'protocols/linksfield.md, section 5.5: the list is cut off; design, section 3',
  },
];

/** Judges one HTTP result. Texts come from the provider, cut to 200 characters; they hold nothing that we sent. */
export function judgeReply(
  result: HttpResult,
  context: { readonly now: EpochMs; readonly replyCodes: CubeSettings['replyCodes'] },
): CubeVerdict {
  if (result.kind === 'not-sent') {
    return { ...result, kind: 'retryable', retryAfter: null, burnsAttempt: true };
  }
  if (result.kind === 'lost') return { ...result, kind: 'unknown' };
  const envelope = readEnvelope(result.bodyText);
  const code = envelope?.status.code ?? null;
  const told = code !== null && Object.hasOwn(context.replyCodes, code) ? context.replyCodes[code] : null;
  const seen: Seen = { status: result.status, code, told: told ?? null };
  const row = replyTable.find(({ when }) => when(seen));
  if (row === undefined) throw new Error('the last row of the reply table must fit every reply');
  const text = {
    code: (code ?? (result.status === 200 ? 'unreadable-reply' : `http-${result.status}`)).slice(0, 32),
    message: clean(envelope?.status.message ?? `HTTP status ${result.status}`),
  };
  const verdict = typeof row.verdict === 'function' ? row.verdict(seen) : row.verdict;
  switch (verdict) {
    case 'done':
      return { kind: 'done', data: envelope?.data, totalCount: envelope?.total_count };
    case 'limited':
      return {
        kind: 'retryable',
        ...text,
        retryAfter: readRetryAfter(result.headers['retry-after'], context.now),
        burnsAttempt: false,
      };
    case 'business':
    case 'wallet-empty':
    case 'account':
      return { kind: 'refused', refusal: verdict, ...text };
    case 'unknown':
      return { kind: 'unknown', ...text };
    default: {
      const never: never = verdict;
      throw new Error(`unknown verdict: ${String(never)}`);
    }
  }
}

function readEnvelope(bodyText: string) {
  const reading = readExactJson(bodyText);
  const parsed = envelopeSchema.safeParse(reading.ok ? reading.value : null);
  return parsed.success ? parsed.data : null;
}

/** A provider's text for a log line: short, and without control characters. */
function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').slice(0, 200);
}
