import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  csssCallbackMd5,
  csssSign,
  cubeNotificationSign,
  cubeSign,
  cubeSigningTexts,
  cubeVerify,
  eiotclubSign,
  printJson,
  verbatim,
} from './signatures.ts';

describe('EIOTCLUB', () => {
  test("reproduces the provider's published sample", () => {
    const params = { appkey: '000001', timestamp: 1556595508, nonce: 24523, userName: 'wx', age: 24, sex: 1 };
    expect(eiotclubSign(params, 'a1b1c1d1', 'request')).toBe('963A56BAEBED746F2746E4D9B3B77BE0F2E171E7');
  });

  test('drops empty values, keeps zero', () => {
    const base = { appkey: '000001', timestamp: 1740000000, nonce: 12345, iccid: '8988308650104486856' };
    expect(eiotclubSign({ ...base, state: 0 }, 'test-secret-not-real', 'request')).toBe(
      'C2A5C14D065918459A988A25CB2AA4C1282D4CA0',
    );
    const order = { ...base, packageCode: 'PKG001', outTradeNo: 'T20250101000000000001' };
    expect(
      eiotclubSign({ ...order, renew: null, memo: '', tags: [] }, 'test-secret-not-real', 'request'),
    ).toBe('260746698C52B0BFD8618F5F7B1F5E1BA9B45C78');
  });

  test('leaves appkey out of a callback and signs nested data as printed', () => {
    const ignored = { appkey: 'should_be_ignored', timestamp: 1, nonce: 2, foo: 'bar' };
    expect(eiotclubSign(ignored, 'secret', 'callback')).toBe('8126C9A1A889E0946214C635032EE0A37815BE75');
    const event = { id: 'evt-0006', timestamp: 1746050702, nonce: 44444, event: 'X' };
    const rawNumber = { ...event, data: [{ flowTotal: verbatim('1024.0') }] };
    expect(eiotclubSign(rawNumber, 'test-secret-not-real', 'callback')).toBe(
      'B391DEF029BFA0D1BCB0819FE38537FE0B94F9D8',
    );
    expect(printJson(rawNumber)).toContain('"flowTotal":1024.0');
  });
});

describe('CSSS', () => {
  test('signs sorted JSON of the non-empty parameters', () => {
    const query = { access_code: 'P000270', device_id: '', order_id: '', order_status: '', order_type: '' };
    const page = { page_no: 1, page_size: 2, timestamp: '1643251754', version: '2.0', sign: 'x' };
    expect(csssSign({ ...query, ...page }, 'test-secret-0001')).toBe('ovFapZMhF1QffcHFXCsrKUw23tw=');
  });

  test('gives both readings of the callback digest', () => {
    const sms = {
      partner_code: 'P123456',
      sim_id: '89860220190123456789',
      imsi: '4230001234567',
      message_type: 'Binary',
      text_message: '发送短信内容',
      received_at: '1642385160000',
    };
    expect(csssCallbackMd5(sms, 'test-secret-0001', 'of-bytes')).toBe('osm0UC3W2b8AHI1kuJKUFQ==');
    expect(csssCallbackMd5(sms, 'test-secret-0001', 'of-hex')).toBe(
      'YTJjOWI0NTAyZGQ2ZDliZjAwMWM4ZDY0Yjg5Mjk0MTU=',
    );
  });
});

describe('Cube', () => {
  test("builds the provider's published text to sign, body numbers as numbers", () => {
    const texts = cubeSigningTexts({
      path: '/cube/v4/sims/89000100010003125832/bundle',
      query: {},
      timestamp: '1674197059220',
      nonce: '1',
      body: { bundle_id: 'LP09823222320', bundle_type: 10, cycles: 3 },
    });
    expect(texts).toEqual([
      '{"bundle_id":"LP09823222320","bundle_type":10,"cycles":3,"nonce":"1","timestamp":"1674197059220","x-sign-uri":"/cube/v4/sims/89000100010003125832/bundle"}',
    ]);
  });

  test('verifies only what the key has signed', () => {
    const [mine, other] = [0, 1].map(() =>
      generateKeyPairSync('rsa', {
        modulusLength: 1024,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      }),
    );
    const sign = cubeSign('{"a":1}', mine?.privateKey ?? '');
    expect(Buffer.from(sign, 'base64')).toHaveLength(128);
    expect(cubeVerify(['{"a":1}'], sign, mine?.publicKey ?? '')).toBe(true);
    expect(cubeVerify(['{"a":2}'], sign, mine?.publicKey ?? '')).toBe(false);
    expect(cubeVerify(['{"a":1}'], sign, other?.publicKey ?? '')).toBe(false);
    expect(cubeVerify(['{"a":1}'], 'AAAA', mine?.publicKey ?? '')).toBe(false);
  });

  test.each([
    ['', 'hex-decoded', 'base64', 'B29PdNRWNmdcv1Drms+59p1licQ='],
    ['', 'as-text', 'hex', 'fffa27b5bd91307990b69f54f256ce423393a437'],
    [':', 'hex-decoded', 'hex', '0d7ad423e4cf2c0120084c365394df1fc90e56be'],
    ['\n', 'as-text', 'base64', '+fDIGohVkU2gYA/id3MGMbYzdvY='],
  ] as const)('signs a notification in the variant %j %s %s', (joiner, key, output, expected) => {
    const body = { event: 'demo', data: [{ b: 1, a: 2 }], created_at: 1683524066000 };
    const options = { key: '00112233445566778899aabbccddeeff', variant: { joiner, key, output } };
    expect(cubeNotificationSign(body, '1683524066000', options)).toBe(expected);
  });
});
