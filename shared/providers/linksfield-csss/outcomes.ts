import type { CallFailure, Outcome, RefusalClass } from '../../core/outcome.ts';
import { type Subject, subjectOf } from '../../core/subject.ts';
import type { EpochMs } from '../../core/time.ts';
import { readExactJson } from '../exact-json.ts';
import type { HttpResult } from '../http-client.ts';
import { readRetryAfter } from '../retry-after.ts';
import { csssId } from './callback-wire.ts';
import type { CsssSettings } from './plans.ts';
import { type BatchRow, envelopeSchema, isOrderId } from './wire.ts';

/** What one call came to; `data` is not read yet. */
export type CsssVerdict = { readonly kind: 'done'; readonly data: unknown } | CallFailure;

interface Seen {
  readonly status: number;
  /** Null when the body is no readable envelope. */
  readonly envelope: { readonly code: string; readonly success: boolean; readonly message: string } | null;
  readonly replyCodes: CsssSettings['replyCodes'];
}

interface Row {
  readonly when: (seen: Seen) => boolean;
  readonly verdict: 'done' | 'limited' | 'unknown' | RefusalClass | 'as-told';
  readonly code: (seen: Seen) => string;
  readonly source: string;
}

/** HTTP's own words for a caller who may not come in. */
const doorStatuses: readonly number[] = [401, 403];

/** True for the code of a refusal that was made before anything of the request was looked at. */
export function isAtTheDoor(code: string): boolean {
  return doorStatuses.some((status) => code === `http-${status}`);
}

const providerCode = ({ envelope }: Seen): string => envelope?.code.slice(0, 32) ?? 'unreadable-reply';
const httpCode = ({ status }: Seen): string => `http-${status}`;
const messageHas =
  (words: RegExp) =>
  ({ envelope }: Seen): boolean =>
    words.test(envelope?.message ?? '');

/**
 * Texts that name what is wrong with the SIM, the plan or the request. Anything else that is not success ("duplicate",
 * "being processed", "operation failed") may stand for an order that exists, so it is looked up.
 */
const clearNo =
  /not exist|not found|not support|not allow|not belong|not valid|not match|invalid|illegal|unsupported|must (?:be|not)|required|missing|parameter|不存在|未找到|无效|非法|不支持|不允许|不属于|不匹配|参数|缺少|不能为空|已下架|停售|流量余额不足/i;

/**
 * The one classification of replies; the first row that fits holds. A row says "not done" only for an answer that
 * says so itself. Codes other than 0000 are not documented, so rows that look at words are inferences: a word of
 * trouble inside the provider makes the outcome unknown, and the classes of refusal only differ in what is stopped.
 */
export const replyTable: readonly Row[] = [
  {
    when: ({ status }) => status === 429,
    verdict: 'limited',
    code: httpCode,
    source: 'RFC 6585, section 4; limits of CSSS: protocols/linksfield.md, section 2, unknown',
  },
  {
    when: ({ status }) => doorStatuses.includes(status),
    verdict: 'account',
    code: httpCode,
    source: 'RFC 9110, sections 15.5.2 and 15.5.4',
  },
  {
    when: ({ status }) => status !== 200,
    verdict: 'unknown',
    code: httpCode,
    source: 'design, section 3: no clear answer after the bytes left',
  },
  {
    when: ({ envelope }) => envelope === null,
    verdict: 'unknown',
    code: () => 'unreadable-reply',
    source: 'design, section 3',
  },
  {
    when: ({ envelope }) => envelope?.code === '0000' && envelope.success,
    verdict: 'done',
    code: providerCode,
    source: 'protocols/linksfield.md, section 2 (success)',
  },
  {
    when: ({ envelope }) => (envelope?.code === '0000') !== (envelope?.success === true),
    verdict: 'unknown',
    code: () => 'contradictory-reply',
    source: 'protocols/linksfield.md, section 2: success is both, so one without the other is neither',
  },
  {
    when: ({ envelope, replyCodes }) => envelope !== null && Object.hasOwn(replyCodes, envelope.code),
    verdict: 'as-told',
    code: providerCode,
    source: 'the stage file: what Linksfield told the operator',
  },
  {
    when: ({ envelope }) =>
      envelope === null || /^(?:|-\d+|5\d\d|50\d{2,}|9{3,})$/.test(envelope.code.trim()),
    verdict: 'unknown',
    code: providerCode,
    source: 'inferred: the usual spellings of a fault inside a server',
  },
  {
    when: messageHas(
      /system|server|internal|exception|time[ -]?(?:out|d out)|busy|later|unknown|系统|服务|异常|超时|繁忙|稍后|未知|处理中/i,
    ),
    verdict: 'unknown',
    code: providerCode,
    source: 'inferred: a text that speaks of trouble or delay inside the provider',
  },
  {
    when: messageHas(
      /账户余额不足|余额不足以支付|insufficient (?:account |wallet )?(?:balance|funds|credit)|balance (?:is )?not enough/i,
    ),
    verdict: 'wallet-empty',
    code: providerCode,
    source: 'inferred from the text',
  },
  {
    when: messageHas(
      /签名|鉴权|未授权|无权限|\bsign\b|signature|access_code|unauthori[sz]ed|permission denied/i,
    ),
    verdict: 'account',
    code: providerCode,
    source: 'inferred from the text',
  },
  {
    when: messageHas(clearNo),
    verdict: 'business',
    code: providerCode,
    source: 'inferred from the text: it says what is wrong with the request, so nothing was ordered',
  },
  {
    when: () => true,
    verdict: 'unknown',
    code: providerCode,
    source: 'design, section 3; the list of codes could not be read (protocols/linksfield.md, section 2)',
  },
];

/** Judges one HTTP result. Texts come from the provider, cut to 200 characters; they hold nothing that we sent. */
export function judgeReply(
  result: HttpResult,
  context: { readonly now: EpochMs; readonly replyCodes: CsssSettings['replyCodes'] },
): CsssVerdict {
  if (result.kind === 'not-sent') {
    return { ...result, kind: 'retryable', retryAfter: null, burnsAttempt: true };
  }
  if (result.kind === 'lost') return { ...result, kind: 'unknown' };
  const { envelope, data } = readEnvelope(result.bodyText);
  const { told, text } = classify({ status: result.status, envelope, replyCodes: context.replyCodes });
  switch (told) {
    case 'done':
      return { kind: 'done', data };
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
      return { kind: 'refused', refusal: told, ...text };
    default:
      return { kind: 'unknown', ...text };
  }
}

function classify(seen: Seen) {
  const row = replyTable.find(({ when }) => when(seen));
  if (row === undefined) throw new Error('the last row of the reply table must fit every reply');
  const { envelope, status, replyCodes } = seen;
  const told = row.verdict === 'as-told' ? replyCodes[envelope?.code ?? ''] : row.verdict;
  return {
    told,
    text: { code: row.code(seen), message: clean(envelope?.message ?? `HTTP status ${status}`) },
  };
}

/**
 * What a batch order's answer says of one SIM: its own row, judged like an answer of its own. No row, two of them, or an
 * order number that another SIM has as well leave it unknown.
 * Source: protocols/linksfield.md, section 3.2 ("read each row").
 */
export function rowOutcome(
  rows: readonly BatchRow[],
  subject: Subject,
  { replyCodes }: Pick<CsssSettings, 'replyCodes'>,
): Outcome {
  const own = rows.filter(({ device_id }) => subjectOf(csssId, 'iccid', device_id)?.key === subject.key);
  const [row] = own;
  if (row === undefined || own.length > 1) return unclear(`the answer has ${own.length} rows for this SIM`);
  const { error: code, errorMsg, order_id: orderId } = row;
  const envelope = { code, success: code === '0000', message: errorMsg ?? '' };
  const { told, text } = classify({ status: 200, envelope, replyCodes });
  switch (told) {
    case 'done':
      if (orderId === null || !isOrderId(orderId)) return unclear('success without an order number');
      return rows.some((other) => other !== row && other.order_id === orderId)
        ? unclear(`order ${orderId} stands at several SIMs`)
        : { kind: 'succeeded', providerOrderId: orderId, charge: null };
    case 'business':
    case 'wallet-empty':
    case 'account':
      return { kind: 'refused', refusal: told, ...text };
    default:
      return { kind: 'unknown', ...text };
  }
}

const unclear = (message: string): Outcome => ({ kind: 'unknown', code: 'unclear-row', message });

function readEnvelope(bodyText: string): { readonly envelope: Seen['envelope']; readonly data: unknown } {
  const reading = readExactJson(bodyText);
  const parsed = envelopeSchema.safeParse(reading.ok ? reading.value : null);
  if (!parsed.success) return { envelope: null, data: null };
  const { code, success, message, data } = parsed.data;
  return { envelope: { code, success, message: message ?? '' }, data };
}

/** A provider's text for a log line: short, and without control characters. */
function clean(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ').slice(0, 200);
}
