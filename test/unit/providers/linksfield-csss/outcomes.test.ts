import { describe, expect, test } from 'vitest';
import { epochMs } from '../../../../shared/core/time.ts';
import { judgeReply, replyTable } from '../../../../shared/providers/linksfield-csss/outcomes.ts';

const context = { now: epochMs(1_700_000_000_000), replyCodes: {} };

function judge(status: number, body: unknown, headers: Record<string, string> = {}) {
  const bodyText = typeof body === 'string' ? body : JSON.stringify(body);
  return judgeReply({ kind: 'reply', status, headers, bodyText }, context);
}

const good = { code: '0000', data: { order_id: 'O1' }, message: '成功', success: true };

describe('what a CSSS reply means', () => {
  test('takes 0000 with success true as done', () => {
    expect(judge(200, good)).toEqual({ kind: 'done', data: { order_id: 'O1' } });
  });

  test.each([
    ['2001', '设备不存在', 'business'],
    ['1002', 'package not found', 'business'],
    ['1001', '参数错误', 'business'],
    ['2006', 'balance is not enough', 'wallet-empty'],
    ['4100', '签名错误', 'account'],
    ['4101', 'sign error', 'account'],
    ['4200', '账户余额不足', 'wallet-empty'],
    ['4201', '套餐流量余额不足', 'business'],
  ])('takes code %s with the text "%s" as refused: %s', (code, message, refusal) => {
    const verdict = judge(200, { code, message, success: false, data: null });
    expect(verdict).toEqual({ kind: 'refused', refusal, code, message });
  });

  test.each([
    ['0000 without success', 200, { ...good, success: false }, 'contradictory-reply'],
    ['success without 0000', 200, { ...good, code: '2001' }, 'contradictory-reply'],
    ['no success member', 200, { code: '0000', data: {} }, 'unreadable-reply'],
    ['success as text', 200, { ...good, success: 'true' }, 'unreadable-reply'],
    ['no code', 200, { success: false }, 'unreadable-reply'],
    ['an empty code', 200, { code: '', success: false }, ''],
    ['code 9999', 200, { code: '9999', success: false, message: 'x' }, '9999'],
    ['code 500', 200, { code: 500, success: false, message: 'x' }, '500'],
    ['code -1', 200, { code: '-1', success: false, message: 'x' }, '-1'],
    ['a busy provider', 200, { code: '2001', success: false, message: '系统繁忙，请稍后再试' }, '2001'],
    ['a timeout inside', 200, { code: '2001', success: false, message: 'Read timed out' }, '2001'],
    ['a code without a text', 200, { code: '3001', success: false, message: '' }, '3001'],
    ['a repetition', 200, { code: '2001', success: false, message: '请勿重复提交' }, '2001'],
    ['an order that exists', 200, { code: '2001', success: false, message: '订单已存在' }, '2001'],
    ['a duplicate', 200, { code: '2001', success: false, message: 'Duplicate request' }, '2001'],
    ['work under way', 200, { code: '2001', success: false, message: 'Order is being processed' }, '2001'],
    ['a failure that says nothing', 200, { code: '2001', success: false, message: '操作失败' }, '2001'],
    ['a list', 200, '[]', 'unreadable-reply'],
    ['an empty body', 200, '', 'unreadable-reply'],
    ['HTML', 200, '<html></html>', 'unreadable-reply'],
    ['a code twice', 200, '{"code":"2001","code":"0000","success":true}', 'unreadable-reply'],
    ['201', 201, good, 'http-201'],
    ['302', 302, good, 'http-302'],
    ['400 with a refusal', 400, { code: '2001', success: false, message: 'no' }, 'http-400'],
    ['404', 404, '', 'http-404'],
    ['500', 500, { code: '2001', success: false }, 'http-500'],
    ['502 with a success', 502, good, 'http-502'],
    ['504', 504, '', 'http-504'],
  ])('takes %s as unknown', (_name, status, body, code) => {
    expect(judge(status, body)).toMatchObject({ kind: 'unknown', code });
  });

  test('takes 429 as not executed, waits as told and burns no attempt', () => {
    expect(judge(429, good, { 'retry-after': '7' })).toMatchObject({
      kind: 'retryable',
      retryAfter: 7_000,
      burnsAttempt: false,
    });
    expect(judge(429, '')).toMatchObject({ kind: 'retryable', retryAfter: null });
  });

  test.each([401, 403])('takes %i as a refusal of the account', (status) => {
    expect(judge(status, '')).toMatchObject({ kind: 'refused', refusal: 'account', code: `http-${status}` });
  });

  test('takes "not sent" as retryable and "lost" as unknown', () => {
    const text = { code: 'ECONNREFUSED', message: 'connect' };
    expect(judgeReply({ kind: 'not-sent', ...text }, context)).toMatchObject({ kind: 'retryable', ...text });
    expect(judgeReply({ kind: 'lost', ...text }, context)).toEqual({ kind: 'unknown', ...text });
  });

  test('follows the stage file for codes that Linksfield has explained, except success and plain HTTP', () => {
    const told = { ...context, replyCodes: { '4242': 'wallet-empty', '2001': 'unknown' } as const };
    const reply = (status: number, code: string, success: boolean) =>
      judgeReply(
        { kind: 'reply', status, headers: {}, bodyText: JSON.stringify({ code, success, message: 'busy' }) },
        told,
      );
    expect(reply(200, '4242', false)).toMatchObject({ kind: 'refused', refusal: 'wallet-empty' });
    expect(reply(200, '2001', false)).toMatchObject({ kind: 'unknown' });
    expect(reply(200, '4242', true)).toMatchObject({ kind: 'unknown' });
    expect(reply(500, '4242', false)).toMatchObject({ kind: 'unknown' });
    expect(reply(200, 'constructor', false)).toMatchObject({ kind: 'unknown' });
  });

  test('cuts the provider’s text and drops control characters', () => {
    const verdict = judge(200, { code: '2001', success: false, message: `a\u0000\n${'b'.repeat(500)}` });
    expect(verdict).toMatchObject({ message: `a ${'b'.repeat(198)}` });
  });

  test('names a source in every row', () => {
    for (const row of replyTable) expect(row.source.length).toBeGreaterThan(10);
  });
});
