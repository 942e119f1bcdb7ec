import { describe, expect, test } from 'vitest';
import { epochMs } from '../../../../shared/core/time.ts';
import { judgeReply, replyTable } from '../../../../shared/providers/linksfield-cube/outcomes.ts';

const context = { now: epochMs(1_700_000_000_000), replyCodes: {} };

function judge(status: number, body: unknown, headers: Record<string, string> = {}, replyCodes = {}) {
  const bodyText = typeof body === 'string' ? body : JSON.stringify(body);
  return judgeReply({ kind: 'reply', status, headers, bodyText }, { ...context, replyCodes });
}

const withCode = (code: unknown) => ({ data: null, status: { code, message: 'text', detail: null } });

describe('what a Cube reply means', () => {
  test('takes CB-00-0000 as done, with the list’s count as text', () => {
    const verdict = judge(200, '{"data":[1],"status":{"code":"CB-00-0000"},"total_count":12}');
    expect(verdict).toEqual({ kind: 'done', data: ['1'], totalCount: '12' });
  });

  // Source: protocols/linksfield.md, section 5.5.
  test.each([
    ['CB-00-0001', 'business'],
    ['CB-00-0003', 'business'],
    ['CB-99-9400', 'business'],
    ['CB-99-9402', 'business'],
    ['CB-99-9401', 'account'],
    ['CB-99-9403', 'account'],
    ['CB-01-9999', 'business'],
    ['CB-02-9999', 'business'],
    ['CB-01-0001', 'business'],
    ['CB-01-0006', 'business'],
    ['CB-01-0101', 'business'],
    ['CB-01-0107', 'business'],
    ['CB-01-0125', 'business'],
    ['CB-01-0202', 'business'],
    ['CB-02-0003', 'business'],
  ])('takes %s as refused: %s', (code, refusal) => {
    expect(judge(200, withCode(code))).toEqual({ kind: 'refused', refusal, code, message: 'text' });
    expect(judge(400, withCode(code))).toMatchObject({ kind: 'refused', refusal });
  });

  test.each([
    'CB-99-9500',
    'CB-99-9999',
    'CB-01-0104',
    'CB-01-0108',
    'CB-01-0109',
    'CB-01-0111',
    'CB-01-0200',
  ])('takes %s as unknown under 200 and 400', (code) => {
    expect(judge(200, withCode(code))).toMatchObject({ kind: 'unknown', code });
    expect(judge(400, withCode(code))).toMatchObject({ kind: 'unknown', code });
  });

  test.each([
    ['an unpublished code', 200, withCode('CB-02-0042'), 'CB-02-0042'],
    ['success under 400', 400, withCode('CB-00-0000'), 'CB-00-0000'],
    ['success under 201', 201, withCode('CB-00-0000'), 'CB-00-0000'],
    ['success under 500', 500, withCode('CB-00-0000'), 'CB-00-0000'],
    ['a refusal under 500', 500, withCode('CB-01-0001'), 'CB-01-0001'],
    ['404', 404, '', 'http-404'],
    ['302', 302, '', 'http-302'],
    ['502', 502, '<html>', 'http-502'],
    ['no status', 200, { data: {} }, 'unreadable-reply'],
    ['a code that is no text', 200, withCode(null), 'unreadable-reply'],
    ['an empty body', 200, '', 'unreadable-reply'],
    ['a status twice', 200, '{"status":{"code":"CB-01-0001","code":"CB-00-0000"}}', 'unreadable-reply'],
  ])('takes %s as unknown', (_name, status, body, code) => {
    expect(judge(status, body)).toMatchObject({ kind: 'unknown', code });
  });

  test('takes 400 without a readable code as bad parameters', () => {
    expect(judge(400, '')).toMatchObject({ kind: 'refused', refusal: 'business', code: 'http-400' });
  });

  test.each([401, 403])('takes %i as a refusal of the account', (status) => {
    expect(judge(status, '')).toMatchObject({ kind: 'refused', refusal: 'account' });
  });

  test('takes 429 as not executed, waits as told and burns no attempt', () => {
    expect(judge(429, '', { 'retry-after': '7' })).toMatchObject({
      kind: 'retryable',
      retryAfter: 7_000,
      burnsAttempt: false,
    });
  });

  test('takes "not sent" as retryable and "lost" as unknown', () => {
    const text = { code: 'ECONNRESET', message: 'reset' };
    expect(judgeReply({ kind: 'not-sent', ...text }, context)).toMatchObject({ kind: 'retryable', ...text });
    expect(judgeReply({ kind: 'lost', ...text }, context)).toEqual({ kind: 'unknown', ...text });
  });

  test('follows the stage file for codes that Linksfield has explained', () => {
    const told = { 'CB-02-0042': 'wallet-empty', 'CB-01-0001': 'unknown' };
    expect(judge(200, withCode('CB-02-0042'), {}, told)).toMatchObject({ refusal: 'wallet-empty' });
    expect(judge(200, withCode('CB-01-0001'), {}, told)).toMatchObject({ kind: 'unknown' });
    expect(judge(500, withCode('CB-02-0042'), {}, told)).toMatchObject({ kind: 'unknown' });
    expect(judge(200, withCode('constructor'), {}, told)).toMatchObject({ kind: 'unknown' });
  });

  test('names a source in every row', () => {
    for (const row of replyTable) expect(row.source.length).toBeGreaterThan(10);
  });
});
