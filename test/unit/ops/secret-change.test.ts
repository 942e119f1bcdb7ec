import { describe, expect, it } from 'vitest';
import { changeSecret } from '../../../infra/ops/secret-change.ts';

const key = (value: string, keyId: string | null = null) => ({ keyId, value });

describe('a change of a stored secret', () => {
  it('makes the first key of an empty shell', () => {
    const change = { purpose: 'api', key: key('a', '000001'), pathToken: null, keep: 2 } as const;
    expect(changeSecret(null, change)).toEqual({ keys: [key('a', '000001')], pathToken: null });
  });

  it('puts the new key first and keeps the old one live, so that a rotation loses nothing', () => {
    const current = { keys: [key('b'), key('a')], pathToken: 'token-of-16-chars' };
    const change = { purpose: 'callback', key: key('c'), pathToken: null, keep: 2 } as const;
    expect(changeSecret(current, change)).toEqual({
      keys: [key('c'), key('b')],
      pathToken: 'token-of-16-chars',
    });
  });

  it('moves a key that is there already to the front instead of keeping it twice', () => {
    const change = { purpose: 'api', key: key('a'), pathToken: null, keep: 3 } as const;
    expect(changeSecret({ keys: [key('b'), key('a')], pathToken: null }, change).keys).toEqual([
      key('a'),
      key('b'),
    ]);
  });

  it('changes the path token and leaves the keys', () => {
    const change = { purpose: 'callback', key: null, pathToken: 'another-token-of-16', keep: 2 } as const;
    expect(changeSecret({ keys: [key('a')], pathToken: null }, change)).toEqual({
      keys: [key('a')],
      pathToken: 'another-token-of-16',
    });
  });
});
