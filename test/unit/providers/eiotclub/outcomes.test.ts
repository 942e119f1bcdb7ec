import { describe, expect, it } from 'vitest';
import {
  classification,
  classify,
  type Exchange,
  shownCode,
} from '../../../../shared/providers/eiotclub/outcomes.ts';
import { readReply } from '../../../../shared/providers/eiotclub/wire.ts';

const reply = (status: number, body: string): Exchange => ({ kind: 'reply', status, reply: readReply(body) });
const coded = (code: string | number, status = 200): Exchange =>
  reply(status, JSON.stringify({ code, message: 'm' }));
const short = (exchange: Exchange): string => {
  const { meaning } = classify(exchange);
  if (meaning.kind === 'refused') return meaning.refusal;
  if (meaning.kind === 'not-executed') return meaning.burnsAttempt ? 'retry' : 'wait';
  return meaning.kind;
};

describe('what an answer means', () => {
  const documented = [
    ...[41001, 41002, 41003, 41004, 41005, 41006, 41007, 41008, 41009, 41010, 41011, 41012, 41013, 41014],
    ...[41015, 41018, 41028, 41029, 41040, 41041, 41050, 45109, 45110, 45113],
  ];
  const table: readonly [string, Exchange, string][] = [
    ['code "200"', coded('200'), 'done'],
    ['code 200 as a number', coded(200), 'done'],
    ['code 200 on HTTP 201', coded(200, 201), 'done'],
    ...documented.map((code): [string, Exchange, string] => [`code ${code}`, coded(code), 'business']),
    ['code 41018 on HTTP 400', coded('41018', 400), 'business'],
    ['code 45112', coded('45112'), 'wallet-empty'],
    ['code 403', coded('403'), 'account'],
    ['code 403 on HTTP 403', coded(403, 403), 'account'],
    ['code 502', coded(502), 'account'],
    ['code 501', coded('501'), 'wait'],
    ['HTTP 429 without a body', reply(429, ''), 'wait'],
    ['HTTP 429 with a code', coded('501', 429), 'wait'],
    ['not sent', { kind: 'not-sent', code: 'ECONNREFUSED', message: '' }, 'retry'],
    ['lost', { kind: 'lost', code: 'ECONNRESET', message: '' }, 'unknown'],
    ['code 503016', coded('503016'), 'unknown'],
    ['code 500', coded(500), 'unknown'],
    ['code 10000', coded(10000), 'unknown'],
    ['a 41xxx that is not documented', coded(41016), 'unknown'],
    ['a code with a documented one inside', coded('1411018'), 'unknown'],
    ['success on HTTP 400', coded(200, 400), 'unknown'],
    ['success on HTTP 429', coded(200, 429), 'unknown'],
    ['success on HTTP 500', coded(200, 500), 'unknown'],
    ['a gateway error that looks like the allow-list code', coded(502, 502), 'unknown'],
    ['HTTP 503', reply(503, 'Service Unavailable'), 'unknown'],
    ['HTTP 501 by a gateway', reply(501, '<html>'), 'unknown'],
    ['a redirect', reply(302, ''), 'unknown'],
    ['HTTP 403 without a code', reply(403, '<html>'), 'unknown'],
    ['HTTP 404', reply(404, '{"error":"x"}'), 'unknown'],
    ['an empty body', reply(200, ''), 'unknown'],
    ['half a body', reply(200, '{"code":"200"'), 'unknown'],
    ['a text', reply(200, 'SUCCESS'), 'unknown'],
    ['an array', reply(200, '[{"code":"200"}]'), 'unknown'],
    ['no code', reply(200, '{"message":"ok"}'), 'unknown'],
    ['code true', reply(200, '{"code":true}'), 'unknown'],
    ['code null', reply(200, '{"code":null}'), 'unknown'],
    ['code 200.0', reply(200, '{"code":200.0}'), 'unknown'],
    ['two codes', reply(200, '{"code":"41018","code":"200"}'), 'unknown'],
  ];
  it.each(table)('%s', (_, exchange, expected) => {
    expect(short(exchange)).toBe(expected);
  });

  it('lets only three rows say that nothing was executed', () => {
    const free = classification
      .filter(({ meaning }) => meaning.kind === 'not-executed')
      .map(({ name }) => name);
    expect(free).toEqual(['no byte left', 'HTTP 429', 'too many requests']);
  });

  it('names a source for every row', () => {
    for (const row of classification) {
      expect(row.source).toMatch(/protocols\/eiotclub\.md|RFC|http-client\.ts/);
      expect(row.why).not.toBe('');
    }
  });

  it.each([
    [coded('41018'), '41018'],
    [coded('41018', 400), '41018'],
    [coded(200, 400), 'http-400'],
    [coded(502, 502), 'http-502'],
    [coded(501, 429), 'http-429'],
    [reply(200, 'x'), 'unreadable-reply'],
    [reply(302, ''), 'http-302'],
    [{ kind: 'lost', code: 'deadline', message: '' } as const, 'deadline'],
  ])('shows the code that counted (%#)', (exchange, code) => {
    expect(shownCode(exchange)).toBe(code);
  });
});
